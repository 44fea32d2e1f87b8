"""The tables of experts in this folder's README."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from quoting import bare, markdown, over_seeds, power, results

BLOCKS = {
    "moe_tuning, 2": "moe_tuning, 2 parts",
    "moe_tuning, 1": "moe_tuning, 1 part",
    "moe_tuning, 4": "moe_tuning, 4 parts",
    "moe_tuning, random": "moe_tuning, 2 parts, random router",
    "dense_continued": "*dense_continued*",
}
"""Ways to train a residual network, in the order of the table; baselines are in italics."""

DOMAINS = {
    "read_me, domain": "read_me",
    "read_me, random": "*read_me, random units*",
    "read_me, all": "*read_me, the same units for all*",
    "narrow_network": "*narrow_network*",
    "from_scratch": "*from_scratch*",
}
"""The same of networks of domains."""


def way(config: dict[str, Any]) -> str:
    """What a run trained, as the tables have it."""
    method = config["method"]
    if method == "moe_tuning":
        random = config["router"] == "random"
        return f"{method}, {'random' if random else config['parts']}"
    return f"{method}, {config['units']}" if method == "read_me" else method


class Experts:
    """The runs of experts, by what they trained and the share of the units in use."""

    def __init__(self) -> None:
        runs = results("growth", "results/experts.json")
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[tuple[str, float], list[dict[str, Any]]] = {}
        for run in runs:
            config = run["config"]
            place = way(config), config.get("active_share", 1.0)
            self.of.setdefault(place, []).append(run["eval"])

    def accuracy(self, name: str, row: str = "test", share: float = 1.0) -> np.ndarray:
        """Accuracies of a row, by seed."""
        return np.array([each["rows"][row]["mean"][0] for each in self.of[name, share]])

    def cell(self, name: str, row: str = "test", share: float = 1.0) -> str:
        """The accuracy in a row, empty where there is none."""
        found = self.of.get((name, share), [])
        return (
            over_seeds(self.accuracy(name, row, share)) if found and row in found[0]["rows"] else ""
        )

    def ahead(self, name: str, other: str, share: float = 1.0) -> str:
        """By how much one way is ahead of another, paired by seed."""
        return over_seeds(self.accuracy(name, share=share) - self.accuracy(other, share=share))

    def drop(self, name: str) -> str:
        """The accuracy that the dense network loses by becoming experts."""
        return over_seeds(self.accuracy(name, "dense") - self.accuracy(name, "start"))

    def changed(self, name: str) -> float:
        """The largest change of a logit, as a share of the largest one, over all seeds."""
        more = [each["more"] for each in self.of[name, 1.0]]
        return max(each["changed"] / each["largest"] for each in more)

    def operations(self, name: str, share: float = 1.0) -> str:
        """Those of training, as a share of as many steps of the large network."""
        more = self.of[name, share][0]["more"]
        return bare(more["flops"] / more["budget"], 3)

    def of_one_copy(self, name: str, parts: int) -> np.ndarray:
        """The share of the pairs of experts used together that are of one copy, by seed."""
        found = []
        for each in self.of[name, 1.0]:
            used = np.array(each["more"]["used_together"])
            copy = np.arange(used.shape[1]) // parts
            pairs = used * (1 - np.eye(len(copy)))
            found.append(pairs[:, copy[:, None] == copy[None]].sum() / pairs.sum())
        return np.array(found)

    def routed(self, share: float) -> np.ndarray:
        """The share of test images that go to the expert of their domain, by seed."""
        runs = self.of["read_me, domain", share]
        return np.array([np.mean(np.diag(each["more"]["routes"])) for each in runs])


def blocks(runs: Experts) -> str:
    """What a residual network gains by experts in its blocks."""
    rows = []
    for name, title in BLOCKS.items():
        if (name, 1.0) not in runs.of:
            continue
        changed = "" if name == "dense_continued" else power(runs.changed(name))
        cells = [runs.cell(name, row) for row in ("dense", "start", "test")]
        rows.append([title, *cells, changed, runs.operations(name)])
    header = ["method", "dense, 600 steps", "as experts, not tuned", "after 1,200 steps"]
    return markdown([*header, "change of logits", "operations"], rows)


def domains(runs: Experts) -> str:
    """What networks of domains gain by experts of active units."""
    rows = []
    for (name, title), share in itertools.product(DOMAINS.items(), (1.0, 0.5, 0.25)):
        if (name, share) not in runs.of:
            continue
        cells = [runs.cell(name, row, share) for row in ("own_start", "start", "test")]
        rows.append([title, f"{share:.0%}", *cells, runs.operations(name, share)])
    first = runs.of["from_scratch", 1.0][0]["rows"]
    for name, title in (("nearest_mean", "nearest mean of training images"), ("chance", "chance")):
        rows.append([f"*{title}*", "", "", "", bare(first[name]["mean"][0], 3), ""])
    header = ["method", "units in use", "not tuned, by the true domain", "not tuned, by the router"]
    return markdown([*header, "after 1,200 steps", "operations"], rows)


def sentences(runs: Experts) -> list[str]:
    """What the text says."""
    half = 0.5
    domain, same = "read_me, domain", "read_me, all"
    return [
        f"{runs.ahead('moe_tuning, 2', 'dense_continued')} compared with the dense network",
        f"in one part they are {runs.ahead('moe_tuning, 1', 'dense_continued')}",
        f"in four {runs.ahead('moe_tuning, 4', 'dense_continued')}",
        f"{runs.ahead(domain, 'narrow_network', half)} compared with a narrow network",
        f"{runs.ahead(domain, same, half)} with half of the units",
        f"and {runs.ahead(domain, same, 0.25)} with a quarter, ahead of the same units for all",
        f"{runs.ahead(domain, 'read_me, random', half)} compared with random units",
        f"loses {runs.drop('moe_tuning, random')} at first",
        f"{over_seeds(runs.of_one_copy('moe_tuning, 2', 2), 2)} of the pairs",
        f"{over_seeds(runs.of_one_copy('moe_tuning, random', 2), 2)} with a random router",
        f"the domain in {over_seeds(runs.routed(half), 2)} of the cases",
    ]
