"""The tables and figures of networks of any width, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

ROWS = {
    "neumeta": "neumeta",
    "fixed": "neumeta, other layers fixed †",
    "all octaves": "the same, all octaves †",
    "before": "the same, all octaves, last step †",
    "before, no order": "the same, units in no order †",
    "slimmable_corrected": "slimmable_corrected †",
    "slimmable": "*slimmable*",
    "slimmable, average": "*slimmable, average over steps* †",
    "trained_alone": "*trained_alone*",
    "trained_alone, average": "*trained_alone, average over steps* †",
    "largest_norm": "*largest_norm*",
    "first_units": "*first_units*",
}
"""In the order of the tables; baselines are in italics, † are older runs."""
ALL_OCTAVES = 6
"""Octaves that tell 32 units apart; the oldest runs have no such setting, nor an average."""
OLDER = ("results/unsmoothed.json", "results/widths_fixed.json")
"""Older runs: no layer was trained with the function, and gradients were not clipped."""
FEW, FULL = 8, 32
"""A quarter of the units, and all of them."""


def variant(config: dict[str, Any]) -> str:
    """Which row a run belongs to, by its settings."""
    method = config["method"]
    if method in ("slimmable", "trained_alone") and config.get("average"):
        return f"{method}, average"
    if method != "neumeta":
        return method
    if "rest" in config:
        return "neumeta"
    if "octaves" in config:
        return "all octaves" if config["octaves"] == ALL_OCTAVES else "fixed"
    return "before" if config["smooth"] else "before, no order"


class Widths:
    """Accuracies by width and seed, of the runs on one set that trained widths from ``least``."""

    def __init__(self, base_set: str = "digits", least: int = 16) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        runs = results("weights", "results/widths.json")
        for older in OLDER:
            runs += results("weights", older)
        runs.sort(key=lambda run: run["config"]["seed"])
        for run in runs:
            config = run["config"]
            if config["base_set"] == base_set and min(config["train_widths"]) == least:
                self.of.setdefault(variant(config), []).append(run)
                self.trained: list[int] = config["train_widths"]
                self.points: list[int] = config["eval_widths"]

    def accuracy(self, name: str) -> np.ndarray:
        """By seed and width."""
        return np.array([run["eval"]["rows"]["test"]["mean"] for run in self.of[name]])

    def at(self, name: str, width: int) -> np.ndarray:
        """At one width, by seed."""
        return self.accuracy(name)[:, self.points.index(width)]

    def over(self, name: str, seen: bool) -> np.ndarray:
        """The mean over trained widths, or over those between them, by seed."""
        inside = [
            place
            for place, width in enumerate(self.points)
            if width >= min(self.trained) and (width in self.trained) == seen
        ]
        return self.accuracy(name)[:, inside].mean(1)

    def unseen(self, name: str) -> np.ndarray:
        """The mean over widths between the trained ones, by seed."""
        return self.over(name, seen=False)

    def ahead(self, name: str, other: str) -> str:
        """By how much a method is ahead at unseen widths, paired by seed."""
        one, two = self.unseen(name), self.unseen(other)
        common = min(len(one), len(two))  # seeds count from 0
        return over_seeds(one[:common] - two[:common], sign=True)

    def table(self) -> str:
        """All methods."""
        header = ["method", "seeds", "unseen widths"]
        header += [f"{w}" if w in self.trained else f"{w}*" for w in self.points]
        rows = [
            [
                title,
                str(len(self.of[name])),
                over_seeds(self.unseen(name)),
                *(bare(float(value), 3) for value in self.accuracy(name).mean(0)),
            ]
            for name, title in ROWS.items()
            if name in self.of
        ]
        return markdown(header, rows)


def compressed(narrow: Widths, usual: Widths) -> str:
    """The accuracy with a quarter of the units, of methods that train networks of this size too."""
    rows = []
    for name in ("neumeta", "fixed", "slimmable", "trained_alone"):
        of = usual if name == "trained_alone" else narrow
        if name not in of.of:
            continue
        few, full = of.at(name, FEW), of.at(name, FULL)
        change = over_seeds(few - full, sign=True)
        rows.append([ROWS[name], str(len(few)), over_seeds(few), over_seeds(full), change])
    header = ["method", "seeds", f"{FEW} units", f"{FULL} units", "difference"]
    return markdown(header, rows)


def full_width(found: Widths) -> str:
    """How far it is from the largest norms where these leave out no unit, paired by seed."""
    one, two = found.at("neumeta", FULL), found.at("largest_norm", FULL)
    return over_seeds(one - two, sign=True)


def widths() -> Quoted:
    """Every table of widths."""
    found, narrow, fashion = Widths(), Widths(least=FEW), Widths("fashion_mnist")
    small = "neumeta" if "neumeta" in narrow.of else "fixed"
    lost = narrow.at(small, FEW) - narrow.at(small, FULL)
    moved: Any = results("weights", "results/manifolds.json")
    kept = [bare(moved[name]["explained"]) for name in ("few", "all")]
    sentences = [
        f"have {kept[0]} of the variance, and {kept[1]} with all octaves",
        f"{over_seeds(found.unseen('neumeta'))} at widths that were never trained",
        f"{found.ahead('neumeta', 'slimmable')} compared with the slimmable network",
        f"{fashion.ahead('neumeta', 'slimmable')} on Fashion-MNIST",
        f"{over_seeds(found.over('neumeta', seen=True))} at the trained widths 16 and 32",
        f"{found.ahead('neumeta', 'largest_norm')} compared with units of the largest norms",
        f"{fashion.ahead('neumeta', 'largest_norm')} there",
        f"{full_width(fashion)} at 32 units of Fashion-MNIST",
        f"{full_width(found)} at 32 units of digits",
        f"{found.ahead('neumeta', 'fixed')} compared with layers that stay",
        f"{fashion.ahead('neumeta', 'fixed')} with Fashion-MNIST",
        f"{found.ahead('fixed', 'all octaves')} compared with all octaves",
        f"{found.ahead('before', 'before, no order')} compared with units in no order",
        f"{found.ahead('slimmable_corrected', 'slimmable, average')} compared with the slimmable "
        "network with the same average",
        f"{over_seeds(lost, sign=True)} with 8 of 32 units",
        f"{over_seeds(found.at('neumeta', FEW))} at 8 units",
    ]
    tables = {
        "widths": found.table(),
        "fashion_widths": fashion.table(),
        "compressed": compressed(narrow, found),
    }
    return Quoted(tables, sentences)
