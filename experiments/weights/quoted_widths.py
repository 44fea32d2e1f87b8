"""The tables and figures of networks of any width, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

ROWS = {
    "neumeta": "neumeta",
    "neumeta, noise": "neumeta, noise of half a unit",
    "neumeta, no order": "neumeta, units in no order",
    "neumeta, last step": "neumeta, no average over steps",
    "neumeta, all octaves": "neumeta, all octaves",
    "slimmable_corrected": "slimmable_corrected",
    "slimmable": "*slimmable*",
    "slimmable, average": "*slimmable, average over steps*",
    "trained_alone": "*trained_alone*",
    "trained_alone, average": "*trained_alone, average over steps*",
    "largest_norm": "*largest_norm*",
    "first_units": "*first_units*",
}
"""In the order of the tables; baselines are in italics."""
ALL_OCTAVES = 6
"""Octaves that tell 32 units apart."""
BY = 32
"""Full width, units."""


def variant(config: dict[str, Any]) -> str:
    """Which row a run belongs to, by its settings."""
    method = config["method"]
    if method != "neumeta":
        plain = method in ("slimmable", "trained_alone") and config["average"] > 0
        return f"{method}, average" if plain else method
    if config["octaves"] == ALL_OCTAVES:
        return "neumeta, all octaves"
    if config["average"] == 0:
        return "neumeta, last step"
    if config["noise"] > 0:
        return "neumeta, noise"
    return "neumeta" if config["smooth"] else "neumeta, no order"


class Widths:
    """Accuracies by width and seed, of the runs on one set that trained widths from ``least``."""

    def __init__(self, base_set: str, least: int = 16) -> None:
        runs = results("weights", "results/widths.json")
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[str, list[dict[str, Any]]] = {}
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

    def unseen(self, name: str) -> np.ndarray:
        """The mean over widths between the trained ones, by seed."""
        inside = [
            place
            for place, width in enumerate(self.points)
            if min(self.trained) < width < max(self.trained) and width not in self.trained
        ]
        return self.accuracy(name)[:, inside].mean(1)

    def seen(self, name: str) -> np.ndarray:
        """The mean over trained widths that are measured, by seed."""
        places = [place for place, width in enumerate(self.points) if width in self.trained]
        return self.accuracy(name)[:, places].mean(1)

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


def compressed() -> str:
    """The accuracy with a quarter of the units, of methods that trained this width too."""
    narrow, alone = Widths("digits", least=8), Widths("digits")
    rows = []
    for name, of in (
        ("neumeta", narrow),
        ("slimmable, average", narrow),
        ("trained_alone", alone),
        ("trained_alone, average", alone),
    ):
        few, full = of.at(name, BY // 4), of.at(name, BY)
        rows.append(
            [
                ROWS[name],
                str(len(few)),
                over_seeds(few),
                over_seeds(full),
                over_seeds(few - full, sign=True),
            ]
        )
    header = ["method", "seeds", f"{BY // 4} units", f"{BY} units", "difference"]
    return markdown(header, rows)


def widths() -> Quoted:
    """Every table of widths."""
    digits, fashion = Widths("digits"), Widths("fashion_mnist")
    narrow = Widths("digits", least=8)
    lost = over_seeds(narrow.at("neumeta", BY // 4) - narrow.at("neumeta", BY), sign=True)
    sentences = [
        f"{over_seeds(digits.unseen('neumeta'))} at widths that were never trained",
        f"{digits.ahead('neumeta', 'slimmable')} compared with the slimmable network",
        f"{digits.ahead('neumeta', 'slimmable, average')} with the same average over steps",
        f"{digits.ahead('neumeta', 'largest_norm')} compared with units of the largest norms",
        f"{over_seeds(fashion.unseen('neumeta'))} on Fashion-MNIST",
        f"{fashion.ahead('neumeta', 'slimmable')} there",
        f"{digits.ahead('neumeta', 'neumeta, all octaves')} compared with all octaves",
        f"{digits.ahead('neumeta', 'neumeta, last step')} compared with the last step",
        f"{digits.ahead('neumeta', 'neumeta, no order')} compared with units in no order",
        f"{digits.ahead('neumeta, noise', 'neumeta')} with noise",
        f"{digits.ahead('slimmable_corrected', 'slimmable, average')} on digits",
        f"{fashion.ahead('slimmable_corrected', 'slimmable, average')} on Fashion-MNIST",
        f"{lost} with a quarter of the units",
    ]
    tables = {
        "widths": digits.table(),
        "fashion_widths": fashion.table(),
        "compressed": compressed(),
    }
    return Quoted(tables, sentences)
