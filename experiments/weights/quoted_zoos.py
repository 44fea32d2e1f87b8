"""The tables and figures of models of a zoo's weights, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

ROWS = {
    "test": "weight_diffusion",
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

    def ahead(self, row: str, point: int = 0) -> str:
        """By how much the diffusion is ahead of a row, paired by seed."""
        return over_seeds(self.scores("test", point) - self.scores(row, point), sign=True)

    def cells(self, row: str) -> list[str]:
        """The accuracies of a row; one cell where no steps are taken."""
        points = len(self.of[0]["rows"][row]["mean"])
        if row == "chance":
            return [bare(float(self.scores(row)[0]), 3), "", ""]
        found = [self.scores(row, point) for point in range(points)]
        said = [over_seeds(each) if len(each) > 1 else bare(float(each[0]), 3) for each in found]
        return said + [""] * (3 - points)

    def more(self, part: str, name: str) -> str:
        """A figure of the zoo or of the draws."""
        return over_seeds([each["more"][part][name]["mean"][0] for each in self.of])


def zoos() -> Quoted:
    """The table of section "Weights for unseen classes", and its figures."""
    of, sets = Zoos("classes"), Zoos("sets")
    rows = [[title, *of.cells(row)] for row, title in ROWS.items()]
    rows.insert(1, ["set_diffusion, one seed", *sets.cells("test")])
    table = markdown(["network", "0 steps", "10 steps", "50 steps"], rows)
    draws = markdown(
        ["ten draws of weight_diffusion", "0 steps"],
        [[title, of.more("samples", name)] for name, title in DRAWS.items()],
    )
    share = over_seeds([each["more"]["variance_share"] for each in of.of])
    sentences = [
        f"{of.ahead('nearest_network')} compared with the network of the nearest task",
        f"{of.ahead('zoo_mean', 2)} compared with the mean of the zoo after 50 steps",
        f"{of.ahead('weight_regression')} compared with the linear map",
        f"{of.ahead('ridge_classifier')} compared with a ridge classifier",
        f"{of.more('zoo', 'networks')} on their own tasks",
        f"{of.more('zoo', 'decoded')} from 64 components",
        f"({share} of the variance)",
        f"{bare(float(sets.scores('test')[0]), 3)} without a step",
    ]
    return Quoted({"zoos": table, "draws": draws}, sentences)
