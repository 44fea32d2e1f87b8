"""The tables and figures of predicted starts, in this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

GROUPS = {"in_range": "in range", "wider": "wider", "deeper": "deeper"}
FULL = "graph_hypernetwork --decoder full"
SHOWN = (0.0, 10.0, 50.0, 200.0)
"""Steps of training from a start that the tables have."""


class Starts:
    """The runs of one file of results: what was evaluated, by method and seed."""

    def __init__(self, name: str) -> None:
        runs = results("weights", f"results/{name}.json")
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            self.of.setdefault(run["config"]["method"], []).append(run["eval"])
        self.points = runs[0]["eval"]["points"]

    def scores(self, method: str, group: str, steps: float) -> np.ndarray:
        """Accuracies by seed; ``random`` is that of He starts."""
        row = f"random_{group}" if method == "random" else group
        place = self.points.index(steps)
        runs = self.of["graph_hypernetwork" if method == "random" else method]
        return np.array([each["rows"][row]["mean"][place] for each in runs])

    def cell(self, method: str, group: str, steps: float) -> str:
        """An accuracy over seeds; random starts are the same for all seeds."""
        if method == "random":
            return bare(self.scores(method, group, steps)[0], 3)
        return over_seeds(self.scores(method, group, steps))

    def ahead(self, method: str, other: str, group: str, steps: float) -> str:
        """By how much a method is ahead of another, paired by seed."""
        return over_seeds(self.scores(method, group, steps) - self.scores(other, group, steps))

    def table(self) -> str:
        """The accuracy of each kind of start, by steps of training from it."""
        names = {
            "graph_hypernetwork": "graph_hypernetwork",
            FULL: "the same, full decoder",
            "shared_table": "*shared_table*",
            "random": "*He start*",
        }
        rows = [
            [GROUPS[group], title, *(self.cell(method, group, steps) for steps in SHOWN)]
            for group in GROUPS
            for method, title in names.items()
        ]
        return markdown(["architectures", "start", *(f"{x:.0f} steps" for x in SHOWN)], rows)


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
