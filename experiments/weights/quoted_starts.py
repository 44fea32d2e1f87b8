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
    digits, sizes = Starts("architectures"), results("weights", "results/decoder_sizes.json")
    digits.of[FULL] = Starts("architectures_full").of["graph_hypernetwork"]
    first, last = sizes["rows"][0], sizes["rows"][-1]
    by = "graph_hypernetwork"
    sentences = [
        f"{digits.ahead(by, 'shared_table', 'in_range', 0)} zero-shot in range",
        f"{digits.ahead(by, 'shared_table', 'wider', 0)} for wider ones",
        f"{digits.ahead(by, 'shared_table', 'in_range', 200)} after 200 steps",
        f"{digits.cell(by, 'in_range', 0)} without training in range",
        f"{digits.cell(by, 'deeper', 0)} with a fourth hidden layer",
        f"{digits.cell('shared_table', 'deeper', 0)} for the table",
        f"{digits.ahead(by, 'random', 'in_range', 50)} compared with He starts after 50 steps",
        f"{digits.ahead(by, 'random', 'in_range', 200)} after 200",
        f"{digits.ahead(by, 'random', 'deeper', 200)} for deeper ones",
        f"{digits.ahead(by, 'random', 'wider', 200)} for networks that are wider",
        f"{digits.ahead(FULL, by, 'in_range', 0)} zero-shot compared with the low-rank one",
        f"{digits.ahead(FULL, 'shared_table', 'in_range', 0)} compared with the table",
        f"{digits.cell(FULL, 'wider', 0)} on wider networks",
        f"{digits.cell(FULL, 'deeper', 0)} on deeper ones",
        f"{first['low_rank']['parameters'] / 1e6:.2f} to "
        f"{last['low_rank']['parameters'] / 1e6:.2f} million parameters",
        f"{first['full']['parameters'] / 1e6:.1f} to {last['full']['parameters'] / 1e6:,.0f}",
    ]
    headline = (
        "accuracy of unseen networks as they are predicted: "
        f"**{digits.cell(FULL, 'in_range', 0)}**, with a low-rank decoder "
        f"{digits.cell(by, 'in_range', 0)}; a table of shared weights "
        f"{digits.cell('shared_table', 'in_range', 0)}, random starts "
        f"{digits.cell('random', 'in_range', 0)}"
    )
    tables = {"starts": digits.table(), "decoders": decoder_sizes(sizes)}
    return Quoted(tables, sentences, {"README.md": [headline]})
