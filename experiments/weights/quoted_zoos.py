"""The tables and figures of models of a zoo's weights, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

ROWS = {
    "test": "weight_diffusion, moved",
    "unmoved": "the same draws, not moved: as published",
    "moved_regression": "*weight_regression, moved by as many steps*",
    "solved_regression": "*weight_regression, last layer solved for*",
    "weight_regression": "*weight_regression*",
    "zoo_mean": "*zoo_mean*",
    "nearest_network": "*nearest_network*",
    "start": "*the zoo's initialization*",
    "ridge_classifier": "*ridge classifier on the support, no zoo*",
    "nearest_mean": "*nearest class mean of the support, no zoo*",
    "trained": "*trained on all images of the task*",
    "chance": "*chance*",
}
"""In the order of the table; baselines are in italics."""
DRAWS = {
    "one": "one draw",
    "ensemble": "ensemble of ten draws",
    "best_by_support_loss": "best of ten draws by the loss on the support",
    "deviation": "standard deviation of the accuracy over draws",
    "disagreement": "share of images on which two draws differ",
}
"""What is measured of several draws."""


class Zoos:
    """The runs of one file of results, by seed."""

    def __init__(self, name: str) -> None:
        runs: list[dict[str, Any]] = results("weights", f"results/{name}.json")
        self.of = [run["eval"] for run in sorted(runs, key=lambda run: run["config"]["seed"])]

    def scores(self, row: str, point: int = 0) -> np.ndarray:
        """Accuracies of a row by seed, after some of the numbers of steps."""
        return np.array([each["rows"][row]["mean"][point] for each in self.of])

    def ahead(self, row: str, point: int = 0, of: str = "test", own: int | None = None) -> str:
        """By how much a row, the moved diffusion, is ahead of another, paired by seed.

        Both after as many steps, or the first after ``own``.
        """
        mine = self.scores(of, point if own is None else own)
        return over_seeds(mine - self.scores(row, point), sign=True)

    def cell(self, row: str, point: int = 0) -> str:
        """An accuracy over seeds; bare, of one seed."""
        found = self.scores(row, point)
        return over_seeds(found) if len(found) > 1 else bare(float(found[0]), 3)

    def cells(self, row: str) -> list[str]:
        """The accuracies of a row; one cell where no steps are taken."""
        points = len(self.of[0]["rows"][row]["mean"])
        if row == "chance":
            return [bare(float(self.scores(row)[0]), 3), "", ""]
        return [self.cell(row, point) for point in range(points)] + [""] * (3 - points)

    def more(self, *path: str) -> str:
        """A figure of the zoo or of the draws."""
        found = []
        for each in self.of:
            at = each["more"]
            for name in path:
                at = at[name]
            found.append(at["mean"][0] if isinstance(at, dict) else at)
        return over_seeds(found) if len(found) > 1 else bare(float(found[0]), 3)

    def table(self) -> str:
        """All rows."""
        rows = [[title, *self.cells(row)] for row, title in ROWS.items()]
        return markdown(["network", "0 steps", "10 steps", "50 steps"], rows)

    def draws(self) -> str:
        """Ten draws, moved and not."""
        return markdown(
            ["ten draws of weight_diffusion", "moved", "not moved"],
            [
                [title, *(self.more("samples", row, name) for row in ("test", "unmoved"))]
                for name, title in DRAWS.items()
            ],
        )


def variants(usual: Zoos, others: dict[str, Zoos]) -> str:
    """What the parts of the paper give, in one run each, and the usual run of the same seed."""
    rows = []
    for title, of in {"principal components, class means": usual, **others}.items():
        first = of.of[0]
        zoo = first["more"]["zoo"]["decoded"]["mean"][0]
        moved = "unmoved" in first["rows"]
        plain = first["rows"]["unmoved" if moved else "test"]["mean"][0]
        test = first["rows"]["test"]["mean"][0] if moved else None
        figures = [first["more"]["variance_share"], zoo, plain, test]
        rows.append([title, *("" if x is None else bare(float(x), 3) for x in figures)])
    header = ["latents, condition", "variance kept", "zoo decoded", "not moved", "moved"]
    return markdown(header, rows)


def zoos() -> Quoted:
    """The tables of section "Weights for unseen classes", and its figures."""
    of, fashion = Zoos("classes"), Zoos("fashion_classes")
    others = {
        "autoencoder, class means": Zoos("autoencoder"),
        "principal components, attention": Zoos("sets"),
        "principal components, attention, aligned first": Zoos("aligned"),
    }
    tables = {"zoos": of.table(), "draws": of.draws(), "parts": variants(of, others)}
    tables |= {"fashion_zoos": fashion.table(), "fashion_draws": fashion.draws()}
    near = bare(float(fashion.scores("nearest_mean")[0]), 3)
    published = (
        f"{fashion.ahead('nearest_mean', of='unmoved')} compared with the nearest class mean"
    )
    sentences = [
        f"{of.ahead('moved_regression')} compared with the moved linear map",
        f"and {fashion.ahead('moved_regression')} with Fashion-MNIST",
        f"{of.ahead('weight_regression', of='unmoved')} compared with the linear map",
        f"{of.ahead('ridge_classifier', of='unmoved')} compared with a ridge classifier",
        f"With Fashion-MNIST it is {published}",
        f"{of.ahead('ridge_classifier')} compared with the ridge classifier",
        f"{of.ahead('solved_regression')} compared with the linear map whose last layer is solved",
        f"{fashion.cell('test')}, not moved {fashion.cell('unmoved')}, nearest class mean {near}",
        f"linear map whose last layer is solved it is {fashion.ahead('solved_regression')}",
        f"moved draws are {of.ahead('weight_regression', 1, own=0)} and "
        f"{of.ahead('weight_regression', 2, own=0)}",
        f"{of.ahead('nearest_network', of='unmoved')} compared with the network of the nearest",
        f"{of.ahead('zoo_mean', 2, of='unmoved')} compared with the mean of the zoo after 50",
        f"{of.more('zoo', 'networks')} on their own tasks",
        f"{of.more('zoo', 'decoded')} from 64 components",
        f"({of.more('variance_share')} of the variance)",
    ]
    return Quoted(tables, sentences)
