"""The table and figures of adapters of unseen modalities, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

GROUPS = {"test": "unseen encoders", "views": "hand-made features", "glyphs": "printed digits"}
"""What is measured, in the order of the table."""
ROWS = {
    "adapter": "solved_adapter",
    "average": "the same, mean of two adapters from halves",
    "tuned": "the same, then tuned",
    "shared": "its projector, tuned",
    "scratch": "*projector from scratch*",
    "means": "*nearest class mean*",
    "ridge": "*ridge regression to the texts*",
    "procrustes": "*orthogonal Procrustes to the texts*",
}
"""In the order of the table; baselines that need no other modalities are in italics."""
ALONE = "the same, nothing generated"
"""Title of the solved part alone, trained in the same way."""
PUBLISHED = "modality_adapter, as published"
"""Title of what has no solved part."""


class Adapters:
    """The runs of one file of results, by seed."""

    def __init__(self, name: str) -> None:
        runs: list[dict[str, Any]] = results("weights", f"results/{name}.json")
        self.of = [run["eval"] for run in sorted(runs, key=lambda run: run["config"]["seed"])]
        self.points = [int(point) for point in self.of[0]["points"]]

    def scores(self, group: str, row: str, point: int) -> np.ndarray:
        """Accuracies by seed, at some of the numbers of pairs."""
        name = group if row == "adapter" else f"{group}_{row}"
        return np.array([each["rows"][name]["mean"][point] for each in self.of])

    def cells(self, group: str, row: str) -> list[str]:
        """The accuracies of a row."""
        every = [self.scores(group, row, point) for point in range(len(self.points))]
        return [over_seeds(each) if len(each) > 1 else bare(float(each[0]), 3) for each in every]

    def ahead(self, group: str, row: str, point: int = 0) -> str:
        """By how much the adapter is ahead of a row, paired by seed."""
        apart = self.scores(group, "adapter", point) - self.scores(group, row, point)
        return over_seeds(apart, sign=True)


def modalities() -> Quoted:
    """The table, and what the text says of it."""
    solved, published = Adapters("modalities"), Adapters("modalities_published")
    fashion = Adapters("fashion_modalities")
    alone, fashion_alone = Adapters("modalities_solved"), Adapters("fashion_modalities_solved")
    rows, other = [], []
    for group, title in GROUPS.items():
        rows += [[title, said, *solved.cells(group, name)] for name, said in ROWS.items()]
        rows.append([title, ALONE, *alone.cells(group, "adapter")])
        rows.append([title, PUBLISHED, *published.cells(group, "adapter")])
    for group, title in list(GROUPS.items())[:2]:
        other += [[title, said, *fashion.cells(group, name)] for name, said in ROWS.items()]
        other.append([title, ALONE, *fashion_alone.cells(group, "adapter")])
    head = ["modality", "method", *(f"{num} pair{'s' * (num > 1)}" for num in solved.points)]
    sentences = [
        "{} / {} / {}".format(*published.cells("test", "adapter")),
        f"only {solved.ahead('views', 'means')} on hand-made features",
        f"{solved.ahead('glyphs', 'means')} on printed digits",
        f"{solved.ahead('test', 'tuned')} for the untuned one with one pair",
        f"{solved.ahead('glyphs', 'tuned', 2)} with ten pairs of printed digits",
        f"{solved.ahead('test', 'average', 1)} for all pairs in one reading",
        f"{solved.ahead('test', 'scratch')} compared with a projector from scratch",
        f"{solved.ahead('views', 'scratch')} on hand-made features",
        f"{solved.ahead('glyphs', 'scratch')} on printed digits",
        f"{solved.ahead('test', 'means')} compared with the nearest class mean on unseen encoders",
    ]
    added = [
        over_seeds(
            some.scores("test", "adapter", 0) - without.scores("test", "adapter", 0), sign=True
        )
        for some, without in ((solved, alone), (fashion, fashion_alone))
    ]
    sentences += [
        f"the generated part adds {added[0]} to the solved one on digits",
        f"and {added[1]} on Fashion-MNIST",
        f"{fashion.ahead('test', 'scratch')} compared with a projector from scratch there",
        f"{fashion.ahead('test', 'means')} compared with the nearest class mean there",
        f"{fashion.ahead('views', 'scratch', 2)} compared with a projector from scratch with ten",
    ]
    tables = {"modalities": markdown(head, rows), "fashion_modalities": markdown(head, other)}
    return Quoted(tables, sentences)
