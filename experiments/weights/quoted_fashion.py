"""The table of Fashion-MNIST images at angles, in this folder's README, and its figures."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

VARIANTS = {
    "raw": "raw",
    "residual": "raw, residual",
    "encoding": "encoding",
    "mip": "MIP",
    "one_network": "*one network for all angles*",
}
"""In the order of the table; baselines are in italics."""


def variant(config: dict[str, Any]) -> str:
    """The variant that a run trained."""
    if config["method"] != "mip" or (config["encoding"] and config["residual"]):
        return str(config["method"])
    return "encoding" if config["encoding"] else "residual"


class FashionAngles:
    """The runs by variant and number of steps, and of these by seed."""

    def __init__(self) -> None:
        runs = results("weights", "results/fashion_angles.json")
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for run in runs:
            self.of.setdefault((variant(run["config"]), run["config"]["steps"]), []).append(run)
        self.short, self.long = sorted({steps for _, steps in self.of})
        self.points = runs[0]["eval"]["points"]
        self.nearest = runs[0]["eval"]["rows"]["nearest_mean"]["mean"]

    def loss(self, name: str, steps: int) -> np.ndarray:
        """The loss of the last 100 steps, by seed."""
        return np.array([run["summary"]["final"]["loss"] for run in self.of[name, steps]])

    def accuracy(self, name: str, steps: int) -> np.ndarray:
        """The mean over angles, by seed."""
        return np.array([run["eval"]["rows"]["mean"]["mean"][-1] for run in self.of[name, steps]])

    def at(self, name: str, steps: int) -> np.ndarray:
        """By seed and angle."""
        return np.array([run["eval"]["rows"]["test"]["mean"] for run in self.of[name, steps]])

    def ahead(self, name: str, other: str, steps: int) -> str:
        """By how much a variant is ahead of another in accuracy, by the seeds that both have."""
        ours, theirs = self.accuracy(name, steps), self.accuracy(other, steps)
        both = min(len(ours), len(theirs))
        return over_seeds(ours[:both] - theirs[:both], sign=True)

    def share(self, name: str, other: str, steps: int) -> str:
        """The loss over that of another variant, the mean of ratios paired by seed."""
        return bare(float(np.mean(self.loss(name, steps) / self.loss(other, steps))))

    def table(self) -> str:
        """All variants."""
        both, middle = (self.short, self.long), len(self.points) // 2
        rows = [
            [
                title,
                *(over_seeds(self.loss(name, steps)) for steps in both),
                *(over_seeds(self.accuracy(name, steps)) for steps in both),
                *(bare(float(x), 3) for x in self.at(name, self.long).mean(0)[[0, middle, -1]]),
            ]
            for name, title in VARIANTS.items()
        ]
        known = [self.nearest[place] for place in (0, middle, -1)]
        mean = bare(float(np.mean(self.nearest)), 3)
        rows.append(["*nearest class mean*", "", "", "", mean, *(bare(x, 3) for x in known)])
        header = ["hypernetwork"]
        header += [f"{what}, {steps:,} steps" for what in ("loss", "accuracy") for steps in both]
        return markdown([*header, "z = 0", "z = 1/2", "z = 1"], rows)


def fashion() -> Quoted:
    """The table of Fashion-MNIST at angles."""
    of = FashionAngles()
    short, long = of.short, of.long
    end = of.at("mip", long)[:, -1] - of.at("raw", long)[:, -1]
    sentences = [
        f"{of.ahead('mip', 'raw', long)} after {long:,} steps",
        f"{of.ahead('mip', 'raw', short)} after {short} steps",
        f"{of.share('mip', 'raw', short)} of the raw one's loss after {short} steps, "
        f"{of.share('mip', 'raw', long)} after {long:,}",
        f"{of.ahead('mip', 'encoding', long)} for the learned weights",
        f"{of.ahead('mip', 'one_network', long)} compared with one network",
        f"{over_seeds(end, sign=True)} at z = 1",
    ]
    return Quoted({"fashion_angles": of.table()}, sentences)
