"""The tables and figures of networks for angles and widths, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

WIDTHS = {
    "neumeta": "neumeta",
    "unsmoothed": "neumeta, units in no order",
    "slimmable": "*slimmable*",
    "largest_norm": "*largest_norm*",
    "first_units": "*first_units*",
}
"""In the order of the table; baselines are in italics."""


class Ablation:
    """What each variant of a hypernetwork reached, by seed."""

    def __init__(self) -> None:
        self.found = results("weights", "results/ablation.json")

    def loss(self, name: str) -> np.ndarray:
        """The loss of the last steps."""
        return np.array(self.found["variants"][name]["loss"])[:, -1]

    def accuracy(self, name: str) -> np.ndarray:
        """By seed and angle."""
        return np.array(self.found["variants"][name]["accuracy"])

    def ratios(self, name: str, other: str = "raw") -> np.ndarray:
        """Losses over those of another variant, by seed."""
        return self.loss(name) / self.loss(other)

    def table(self) -> str:
        """All variants."""
        middle = len(self.found["angles"]) // 2
        rows = []
        for name, found in self.found["variants"].items():
            by_angle = self.accuracy(name)
            scale = np.mean(found["start_scale"], axis=0)
            rows.append(
                [
                    name,
                    over_seeds(self.loss(name)),
                    bare(float(self.ratios(name).mean())),
                    over_seeds(by_angle.mean(1)),
                    *(bare(float(by_angle[:, at].mean()), 3) for at in (0, middle, -1)),
                    " ".join(bare(float(value)) for value in scale),
                ]
            )
        header = ["hypernetwork", "loss", "over raw", "accuracy", "z = 0", "z = 1/2", "z = 1"]
        return markdown([*header, "start scale, z = 0, 1/4, 1/2, 1"], rows)


class Widths:
    """Accuracies by width and seed."""

    def __init__(self) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        for name in ("widths", "unsmoothed"):
            runs = results("weights", f"results/{name}.json")
            runs.sort(key=lambda run: run["config"]["seed"])
            for run in runs:
                method = "unsmoothed" if name == "unsmoothed" else run["config"]["method"]
                self.of.setdefault(method, []).append(run["eval"])
                self.trained = run["config"]["train_widths"]
        self.training = [run["summary"]["final"]["accuracy"] for run in runs]
        """On the training images, of units in no order."""
        self.points = [int(point) for point in self.of["neumeta"][0]["points"]]

    def accuracy(self, method: str) -> np.ndarray:
        """By seed and width."""
        return np.array([each["rows"]["test"]["mean"] for each in self.of[method]])

    def unseen(self, method: str) -> np.ndarray:
        """The mean over widths between the trained ones, by seed."""
        inside = [
            place
            for place, width in enumerate(self.points)
            if min(self.trained) < width < max(self.trained) and width not in self.trained
        ]
        return self.accuracy(method)[:, inside].mean(1)

    def ahead(self, method: str, other: str) -> str:
        """By how much a method is ahead at unseen widths, paired by seed."""
        return over_seeds(self.unseen(method) - self.unseen(other), sign=True)

    def table(self) -> str:
        """All methods."""
        header = ["method", "unseen widths"]
        header += [f"{w}" if w in self.trained else f"{w}*" for w in self.points]
        rows = [
            [
                title,
                over_seeds(self.unseen(method)),
                *(bare(float(value), 3) for value in self.accuracy(method).mean(0)),
            ]
            for method, title in WIDTHS.items()
        ]
        return markdown(header, rows)


def conditions() -> Quoted:
    """Every table of angles and widths."""
    angles, widths = Ablation(), Widths()
    ratios = angles.ratios("MIP")
    means = float(angles.loss("MIP").mean() / angles.loss("raw").mean())
    encoded, usual = angles.loss("generator, encoding"), angles.loss("generator")
    gain = angles.accuracy("MIP").mean(1) - angles.accuracy("raw").mean(1)
    sentences = [
        f"an accuracy of {over_seeds(widths.unseen('neumeta'))}, that is",
        f"{over_seeds(widths.unseen('largest_norm'))} for the largest norms",
        f"{bare(means)} of the raw hypernetwork's loss after 200 steps ({bare(ratios.min())} to "
        f"{bare(ratios.max())} by seed)",
        f"the difference from the raw one is {over_seeds(gain, sign=True)}",
        f"its loss changes by {over_seeds(encoded - usual, sign=True)}",
        f"{widths.ahead('neumeta', 'slimmable')} compared with the slimmable network",
        f"{widths.ahead('neumeta', 'unsmoothed')} compared with units in no order",
        f"accuracy in the last 100 steps is {over_seeds(widths.training)}",
    ]
    return Quoted({"angles": angles.table(), "widths": widths.table()}, sentences)
