"""The table and figures of networks for angles, in this folder's README."""

from __future__ import annotations

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results


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


def conditions() -> Quoted:
    """Every table of angles."""
    angles = Ablation()
    ratios = angles.ratios("MIP")
    means = float(angles.loss("MIP").mean() / angles.loss("raw").mean())
    encoded, usual = angles.loss("generator, encoding"), angles.loss("generator")
    gain = angles.accuracy("MIP").mean(1) - angles.accuracy("raw").mean(1)
    sentences = [
        f"{bare(means)} of the raw hypernetwork's loss after 200 steps ({bare(ratios.min())} to "
        f"{bare(ratios.max())} by seed)",
        f"the difference from the raw one is {over_seeds(gain, sign=True)}",
        f"its loss changes by {over_seeds(encoded - usual, sign=True)}",
    ]
    return Quoted({"angles": angles.table()}, sentences)
