"""The tables of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

TITLES = {
    "source": "*source network*",
    "batch_statistics": "*batch statistics*",
    "warmed_networks": "*warmed-up networks, no updates*",
    "tent": "tent",
    "ecotta": "ecotta",
}
"""Methods in the order of the table; those in italics do not adapt."""


def by_method(runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What runs of a set measured, by method and by seed; baselines come with every run."""
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for run in runs:
        seed, rows, more = run["config"]["seed"], run["eval"]["rows"], run["eval"]["more"]
        for name, row in rows.items():
            method = run["config"]["method"] if name == "stream" else name
            found.setdefault(method, {})[seed] = {
                "error": [1 - share for share in row["mean"]],
                "clean": more["clean"][name],
                "kept": more.get("kept_bytes") if name == "stream" else None,
            }
    return {
        name: [by_seed[seed] for seed in sorted(by_seed)]
        for name in TITLES
        if (by_seed := found.get(name))
    }


class Set:
    """The runs of one set of images.

    Attributes:
      of: what was measured, by method.
    """

    def __init__(self, name: str) -> None:
        self.of = by_method(results("shift", f"results/{name}.json"))

    def error(self, method: str) -> list[float]:
        """Mean error over all rounds, by seed."""
        return [float(np.mean(one["error"])) for one in self.of[method]]

    def less(self, method: str, other: str) -> str:
        """By how much the error of a method is below that of another, paired by seed."""
        pairs = zip(self.error(other), self.error(method), strict=True)
        return over_seeds([theirs - own for theirs, own in pairs])

    def rise(self, method: str) -> str:
        """By how much the error rises from the first round to the last."""
        return over_seeds([one["error"][-1] - one["error"][0] for one in self.of[method]])

    def clean_loss(self, method: str) -> str:
        """By how much clean accuracy after the stream is below the source network's."""
        pairs = zip(self.of["source"], self.of[method], strict=True)
        return over_seeds([before["clean"] - after["clean"] for before, after in pairs])

    def table(self) -> str:
        """Errors by round, clean accuracy afterwards, and the bytes a step keeps."""
        rows = [
            [
                TITLES[name],
                over_seeds([one["error"][0] for one in group]),
                over_seeds([one["error"][-1] for one in group]),
                over_seeds(self.error(name)),
                over_seeds([one["clean"] for one in group]),
                f"{group[0]['kept']:,}" if group[0]["kept"] else "0",
            ]
            for name, group in self.of.items()
        ]
        last = len(self.of["source"][0]["error"])
        header = [
            "method",
            "error, round 1",
            f"error, round {last}",
            "error, all rounds",
            "clean accuracy afterwards",
            "bytes kept",
        ]
        return markdown(header, rows)


def memory() -> str:
    """Bytes kept by depth."""
    rows = [
        [str(row["layers"]), f"{row['tent']:,}", f"{row['ecotta']:,}", ratio(row)]
        for row in results("shift", "results/memory.json")["rows"]
    ]
    return markdown(["convolutions of a part", "tent", "ecotta", "ecotta / tent"], rows)


def ratio(row: dict[str, int]) -> str:
    """What EcoTTA keeps of what TENT keeps."""
    return bare(row["ecotta"] / row["tent"])


def of_set(of: Set) -> list[str]:
    """What the README says of the methods on one set."""
    return [
        f"{of.less('ecotta', 'batch_statistics')} compared with batch statistics",
        f"{of.less('ecotta', 'source')} compared with the source network",
        f"{of.less('ecotta', 'warmed_networks')} compared with the same networks without updates",
        f"TENT gains {of.less('tent', 'batch_statistics')}",
        f"rises by {of.rise('ecotta')} from the first round to the last",
        f"clean images falls by {of.clean_loss('ecotta')}",
    ]


def quoted() -> Quoted:
    """Every table."""
    digits, fashion = Set("digits"), Set("fashion")
    mean = {name: over_seeds(digits.error(name)) for name in digits.of}
    one, *_, eight = results("shift", "results/memory.json")["rows"]
    sentences = [
        *of_set(digits),
        *of_set(fashion),
        f"source network is {over_seeds(fashion.error('source'))}",
        f"{ratio(one)} times as many bytes as TENT's",
        f"and {ratio(eight)} times as many where a part has eight",
    ]
    headline = (
        f"error on ten rounds of shifted digits: **{mean['ecotta']}** (EcoTTA); TENT "
        f"{mean['tent']}, batch statistics {mean['batch_statistics']}, no adaptation "
        f"{mean['source']}"
    )
    tables = {"digits": digits.table(), "fashion": fashion.table(), "memory": memory()}
    return Quoted(tables, sentences, {"README.md": [headline]})
