"""The tables and figures of pruned networks, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

METHODS = {
    "sparse": "group_sparse, 1,000 steps",
    "squared": "the same, squared norms as in the paper",
    "short": "group_sparse, 200 steps",
    "metanet": "metanetwork, then 200 steps",
}
"""By the name of their results, in the order of the tables."""
BASELINES = {
    ("sparse", "unprepared"): "*no preparation, 1,000 plain steps*",
    ("metanet", "unprepared"): "*no preparation, 200 plain steps*",
    ("sparse", "single_weights"): "*single weights by magnitude, 1,000 plain steps*",
}
"""Rows of the evaluation of one of the methods, each with another one after training."""
FASHION = {
    ("sparse", "test"): "group_sparse, 1,000 steps",
    ("short", "test"): "group_sparse, 200 steps (3 seeds)",
    ("sparse", "unprepared"): "*no preparation, 1,000 plain steps*",
    ("sparse", "single_weights"): "*single weights by magnitude, 1,000 plain steps*",
}
"""Rows of Fashion-MNIST, by the name of their results after ``fashion_``."""
SHOWN = (48.0, 24.0, 16.0, 12.0, 8.0, 6.0)
"""Units of each hidden layer that the tables have."""


FILES = {"sparse": "fashion", "short": "fashion_short"}
"""Results of Fashion-MNIST, ``pruning_NAME.json``."""


class Pruned:
    """The runs of one file of results, by seed."""

    def __init__(self, name: str) -> None:
        runs: list[dict[str, Any]] = results("weights", f"results/pruning_{name}.json")
        self.of = [run["eval"] for run in sorted(runs, key=lambda run: run["config"]["seed"])]
        self.points = self.of[0]["points"]
        self.more = self.of[0]["more"]

    def scores(self, row: str, units: float) -> np.ndarray:
        """Accuracies of a row by seed."""
        place = self.points.index(units)
        return np.array([each["rows"][row]["mean"][place] for each in self.of])

    def cells(self, row: str) -> list[str]:
        """The accuracies of a row by size."""
        return [over_seeds(self.scores(row, units)) for units in SHOWN]

    def whole(self, row: str) -> np.ndarray:
        """Accuracies before pruning by seed."""
        return np.array([each["more"]["whole"][row]["mean"][0] for each in self.of])


def ahead(one: Pruned, row: str, other: Pruned, other_row: str, units: float) -> str:
    """By how much a row is ahead of another, paired by seed: the first seeds are the same."""
    both = min(len(one.of), len(other.of))
    apart = one.scores(row, units)[:both] - other.scores(other_row, units)[:both]
    return over_seeds(apart, sign=True)


def curves(of: dict[str, Pruned], suffix: str) -> str:
    """The accuracy by kept units."""
    header = ["network", *(f"{units:.0f}" for units in SHOWN)]
    rows = [[title, *of[name].cells("test" + suffix)] for name, title in METHODS.items()]
    rows += [[title, *of[name].cells(row + suffix)] for (name, row), title in BASELINES.items()]
    if suffix:
        # the same networks for all seeds
        small = [bare(float(of["sparse"].scores("small", units).mean()), 3) for units in SHOWN]
        rows.append(["*small network from scratch, 1,700 steps*", *small])
    return markdown(header, rows)


def fashion_curves(of: dict[str, Pruned]) -> str:
    """The accuracy by kept units on Fashion-MNIST, right after pruning and after more steps."""
    rows = []
    for suffix, when in (("", "pruned"), ("_tuned", "200 more steps")):
        for (name, row), title in FASHION.items():
            rows.append([title, when, *of[name].cells(row + suffix)])
    small = [bare(float(of["sparse"].scores("small", units).mean()), 3) for units in SHOWN]
    rows.append(["*small network from scratch, 1,700 steps*", "", *small])
    return markdown(["network", "when", *(f"{units:.0f}" for units in SHOWN)], rows)


def sizes(of: Pruned) -> str:
    """What a network of each size takes, and its share of the whole one's."""
    rows = []
    for name, title in (("parameters", "parameters"), ("products", "multiplications an image")):
        numbers = [of.more[name][of.points.index(units)] for units in SHOWN]
        rows.append([title, *(f"{x:,} ({100 * x / numbers[0]:.0f}%)" for x in numbers)])
    return markdown(["", *(f"{units:.0f}" for units in SHOWN)], rows)


def pruning() -> Quoted:
    """The tables of section "Pruning", and its figures."""
    of = {name: Pruned(name) for name in METHODS}
    sparse, metanet, squared = of["sparse"], of["metanet"], of["squared"]
    whole = over_seeds(sparse.whole("test") - sparse.whole("unprepared"), sign=True)

    def small(units: float) -> str:
        return ahead(sparse, "test_tuned", sparse, "small", units)

    def metanet_ahead(row: str, other: str, other_row: str) -> str:
        return ahead(metanet, row, of[other], other_row, 12)

    after = metanet_ahead("test_tuned", "metanet", "unprepared_tuned")
    price = over_seeds(squared.whole("test") - sparse.whole("test"), sign=True)
    sentences = [
        f"{small(8)} at 8 units and {small(6)} at 6",
        f"{small(12)} at 12",
        f"{whole} before pruning",
        f"{metanet_ahead('test', 'sparse', 'test')} compared with 1,000 steps of `group_sparse`",
        f"{after} compared with no preparation",
        f"{metanet_ahead('test', 'metanet', 'unprepared')} right after pruning to 12 units",
        f"{metanet_ahead('test', 'short', 'test')} compared with `group_sparse` in as many steps",
        f"{ahead(sparse, 'test', sparse, 'unprepared', 12)} right after pruning to 12 of 48 units",
        f"{ahead(sparse, 'test_tuned', sparse, 'unprepared_tuned', 12)} after 200 more steps",
        f"{ahead(squared, 'test', sparse, 'test', 8)} at 8 units right after pruning",
        f"{price} in whole networks",
    ]
    tables = {"pruned": curves(of, ""), "pruned_tuned": curves(of, "_tuned")}
    fashion = {name: Pruned(place) for name, place in FILES.items()}
    clothes = fashion["sparse"]
    loss = over_seeds(clothes.whole("test") - clothes.whole("unprepared"), sign=True)
    sentences += [
        f"{loss} on Fashion-MNIST",
        *(
            f"{ahead(clothes, 'test_tuned', clothes, 'single_weights_tuned', units)} at {units}"
            for units in (24, 6)
        ),
        f"{ahead(clothes, 'test_tuned', clothes, 'small', 12)} at 12 units there",
        f"{ahead(clothes, 'test', clothes, 'unprepared', 12)} right after pruning to 12 there",
        f"{ahead(clothes, 'test_tuned', clothes, 'unprepared_tuned', 12)} after more steps there",
        f"{ahead(clothes, 'test_tuned', clothes, 'unprepared_tuned', 24)} at 24",
    ]
    tables |= {"pruned_sizes": sizes(sparse), "pruned_fashion": fashion_curves(fashion)}
    return Quoted(tables, sentences)
