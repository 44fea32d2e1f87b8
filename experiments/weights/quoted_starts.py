"""The tables and figures of predicted starts, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

GROUPS = {"in_range": "in range", "wider": "wider", "deeper": "deeper"}
SHOWN = (0.0, 10.0, 50.0, 200.0)
"""Steps of training from a start that the tables have."""
LOW, PUBLISHED, FULL = "low rank", "low rank as published", "full"
TABLE, SLOWER, RANDOM = "table", "table, slower", "random"
DIGITS = {
    LOW: ("architectures_low_rank", "graph_hypernetwork"),
    PUBLISHED: ("architectures", "graph_hypernetwork"),
    FULL: ("architectures_full", "graph_hypernetwork"),
    TABLE: ("architectures_table", "shared_table"),
    SLOWER: ("architectures", "shared_table"),
}
"""Kinds of starts of the digits: the file of their runs, and the method."""
FASHION = {
    LOW: ("fashion_architectures", "graph_hypernetwork"),
    TABLE: ("fashion_architectures", "shared_table"),
}
TITLES = {
    LOW: "graph_hypernetwork, rank 32",
    PUBLISHED: "the same as published, rank 16",
    FULL: "the same, full decoder",
    TABLE: "*shared_table*",
    SLOWER: "*the same at a rate of 1e-3*",
    RANDOM: "*He start*",
}


class Starts:
    """The runs of some kinds of starts: what was evaluated, by kind and seed."""

    def __init__(self, kinds: dict[str, tuple[str, str]]) -> None:
        self.of: dict[str, list[dict[str, Any]]] = {}
        for kind, (name, method) in kinds.items():
            runs = results("weights", f"results/{name}.json")
            runs = [run for run in runs if run["config"]["method"] == method]
            runs.sort(key=lambda run: run["config"]["seed"])
            self.of[kind] = [run["eval"] for run in runs]
        self.points: list[float] = self.of[LOW][0]["points"]

    def curves(self, kind: str, group: str) -> np.ndarray:
        """Accuracies by seed and steps."""
        row = f"random_{group}" if kind == RANDOM else group
        runs = self.of[LOW if kind == RANDOM else kind]
        return np.array([each["rows"][row]["mean"] for each in runs])

    def scores(self, kind: str, group: str, steps: float) -> np.ndarray:
        """Accuracies by seed after some steps."""
        return self.curves(kind, group)[:, self.points.index(steps)]

    def cell(self, kind: str, group: str, steps: float) -> str:
        """An accuracy over seeds; random starts are the same for all seeds."""
        if kind == RANDOM:
            return bare(self.scores(kind, group, steps)[0], 3)
        return over_seeds(self.scores(kind, group, steps))

    def ahead(self, kind: str, other: str, group: str, steps: float) -> str:
        """By how much a kind of start is ahead of another, paired by seed."""
        return over_seeds(self.scores(kind, group, steps) - self.scores(other, group, steps))

    def table(self) -> str:
        """The accuracy of each kind of start, by steps of training from it."""
        rows = [
            [GROUPS[group], TITLES[kind], *(self.cell(kind, group, steps) for steps in SHOWN)]
            for group in GROUPS
            for kind in (*self.of, RANDOM)
        ]
        return markdown(["architectures", "start", *(f"{x:.0f} steps" for x in SHOWN)], rows)


def decoder_trials(found: dict[str, Any]) -> str:
    """The loss of decoders on what was kept from training, by learning rate."""
    rows = [
        [
            name,
            f"{of['parameters']:,}",
            f"{of['steps']:,}",
            *(over_seeds(losses) for losses in of["loss"]),
            *(bare(float(np.mean(each)), 3) for each in of["accuracy"]),
        ]
        for name, of in found["variants"].items()
    ]
    rates = [f"{rate:.0e}".replace("e-0", "e-") for rate in found["rates"]]
    scores = [f"{what}, {rate}" for what in ("loss", "accuracy") for rate in rates]
    return markdown(["weights", "parameters", "steps", *scores], rows)


def decoder_sizes(found: dict[str, Any]) -> str:
    """Parameters and memory of both decoders, by the largest width."""

    def cells(of: dict[str, int]) -> list[str]:
        return [f"{of['parameters']:,}", f"{of['bytes'] / 1e6:,.1f}"]

    rows = [[f"{r['largest']:,}", *cells(r["low_rank"]), *cells(r["full"])] for r in found["rows"]]
    return markdown(["largest width", "low rank", "MB", "full", "MB"], rows)


def starts() -> Quoted:
    """What this folder's README quotes of predicted starts."""
    digits, fashion = Starts(DIGITS), Starts(FASHION)
    sizes = results("weights", "results/decoder_sizes.json")
    trials = results("weights", "results/decoder_trials.json")
    first, last = sizes["rows"][0], sizes["rows"][-1]

    def loss(variant: str, rate: int = 0) -> str:
        return over_seeds(trials["variants"][variant]["loss"][rate])

    sentences = [
        f"{fashion.ahead(LOW, TABLE, 'in_range', 0)} zero-shot in range on Fashion-MNIST",
        f"still {fashion.ahead(LOW, TABLE, 'in_range', 200)} after 200 steps",
        f"{fashion.ahead(LOW, TABLE, 'wider', 0)} for wider ones",
        f"{digits.ahead(LOW, TABLE, 'wider', 0)} for wider ones on digits",
        f"{digits.ahead(LOW, TABLE, 'in_range', 0)} in range on digits",
        f"{digits.ahead(LOW, PUBLISHED, 'in_range', 0)} zero-shot in range compared with",
        f"{digits.ahead(PUBLISHED, TABLE, 'in_range', 0)} compared with the table",
        f"{digits.ahead(FULL, LOW, 'in_range', 0)} in range compared with the low-rank one",
        f"{digits.ahead(FULL, LOW, 'wider', 0)} on wider networks",
        f"{fashion.cell(LOW, 'in_range', 0)} on Fashion-MNIST without training in range",
        f"{fashion.cell(LOW, 'deeper', 0)} with a fourth hidden layer",
        f"{fashion.cell(TABLE, 'deeper', 0)} for the table",
        f"{fashion.ahead(LOW, RANDOM, 'in_range', 50)} compared with He starts after 50 steps",
        f"{fashion.ahead(LOW, RANDOM, 'in_range', 200)} after 200",
        f"{digits.ahead(LOW, RANDOM, 'deeper', 200)} for deeper ones on digits",
        f"from {loss('published, rank 16')} to {loss('published, rank 32')} with rank 32",
        f"and to {loss('published, rank 64')} with rank 64",
        f"from {loss('published, rank 16')} to {loss('rank 16')} at rank 16",
        f"{loss('rank 32')} at rank 32",
        f"The table has {trials['variants']['shared table']['parameters']:,} parameters there, the "
        f"hypernetwork {trials['variants']['rank 32']['parameters']:,}",
        f"from {loss('shared table')} to {loss('shared table', 1)}",
        f"{loss('rank 64, longer')} for rank 64",
        f"{loss('shared table, longer', 1)} for the table",
        f"{loss('full, longer', 1)} for the full decoder",
        f"{first['low_rank']['parameters'] / 1e6:.2f} to "
        f"{last['low_rank']['parameters'] / 1e6:.2f} million parameters",
        f"{first['full']['parameters'] / 1e6:.1f} to {last['full']['parameters'] / 1e6:,.0f}",
    ]
    headline = (
        "accuracy of unseen networks as they are predicted: "
        f"**{digits.cell(FULL, 'in_range', 0)}**, with a low-rank decoder "
        f"{digits.cell(LOW, 'in_range', 0)}; a table of shared weights "
        f"{digits.cell(TABLE, 'in_range', 0)}, random starts "
        f"{digits.cell(RANDOM, 'in_range', 0)}"
    )
    tables = {
        "starts": digits.table(),
        "fashion_starts": fashion.table(),
        "trials": decoder_trials(trials),
        "decoders": decoder_sizes(sizes),
    }
    return Quoted(tables, sentences, {"README.md": [headline]})
