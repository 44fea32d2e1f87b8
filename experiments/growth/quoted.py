"""The table of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from choices import Searches, Supernets, supernet_sentences, supernet_table
from quoting import Quoted, bare, markdown, over_seeds, results

METHODS = {
    "net2net": "net2net",
    "net2net_equal": "net2net_equal",
    "random_transformations": "random_transformations",
    "weak_teacher": "weak_teacher",
    "mutual_distillation": "mutual_distillation",
    "label_smoothing": "*label_smoothing*",
    "from_scratch": "*from_scratch*",
    "small_network": "*small_network*",
}
"""In the order of the table; baselines are in italics."""


class Runs:
    """The runs of one file of results.

    Attributes:
      of: by method, what was evaluated, by seed.
    """

    def __init__(self, name: str) -> None:
        runs = results("growth", f"results/{name}.json")
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            self.of.setdefault(run["config"]["method"], []).append(run["eval"])

    def accuracy(self, method: str, row: str = "test") -> np.ndarray:
        """Accuracies of a row, by seed."""
        return np.array([each["rows"][row]["mean"][0] for each in self.of[method]])

    def ahead(self, method: str, other: str) -> str:
        """By how much a method is ahead of another, paired by seed."""
        return over_seeds(self.accuracy(method) - self.accuracy(other))

    def cell(self, method: str) -> str:
        """The accuracy of a method, empty where it was not run."""
        return over_seeds(self.accuracy(method)) if method in self.of else ""

    def cost(self, method: str) -> list[str]:
        """Updates, by network, and operations as a share of the budget."""
        if method not in self.of:
            return ["", ""]
        more = self.of[method][0]["more"]
        updates = "; ".join(f"{one['network']}: {one['updates']:,}" for one in more["stages"])
        return [updates, bare(more["flops"] / more["budget"], 3)]


def accuracies(short: Runs, digits: Runs, noisy: Runs) -> str:
    """The accuracy of each method at each compute, and what the longer runs took."""
    rows = [
        [title, *(each.cell(method) for each in (short, digits, noisy)), *digits.cost(method)]
        for method, title in METHODS.items()
    ]
    for name, title in (("nearest_mean", "nearest mean of training images"), ("chance", "chance")):
        cells = [
            bare(each.of["from_scratch"][0]["rows"][name]["mean"][0], 3)
            for each in (short, digits, noisy)
        ]
        rows.append([f"*{title}*", *cells, "", ""])
    header = ["method", "30 steps", "600 steps", "600 steps, noisy labels"]
    return markdown([*header, "updates of 600 steps", "operations"], rows)


def quoted() -> Quoted:
    """Every table."""
    short, digits, noisy = Runs("short"), Runs("digits"), Runs("noisy")
    lead = noisy.accuracy("weak_teacher") - noisy.accuracy("weak_teacher", "small")
    large = [method for method in short.of if method != "small_network"]
    best = max(float(np.mean(short.accuracy(method))) for method in large)
    means = short.of["from_scratch"][0]["rows"]["nearest_mean"]["mean"][0]
    budget = digits.of["from_scratch"][0]["more"]["budget"] / 1e9
    sentences = [
        f"{short.ahead('net2net', 'from_scratch')} after 30 steps",
        f"{digits.ahead('net2net', 'from_scratch')} after 600",
        f"({bare(best, 3)} at best, {bare(means, 3)} for the class mean)",
        f"{digits.ahead('net2net', 'net2net_equal')} compared with equal splits",
        f"{noisy.ahead('weak_teacher', 'from_scratch')} compared with training from scratch",
        f"{noisy.ahead('weak_teacher', 'label_smoothing')} compared with label smoothing",
        f"{noisy.ahead('mutual_distillation', 'label_smoothing')} for mutual distillation",
        f"the small network alone has {noisy.cell('small_network')}",
        f"is {over_seeds(noisy.accuracy('weak_teacher', 'small'))} itself",
        f"student is {over_seeds(lead)} ahead of it",
        f"small network alone is {short.ahead('small_network', 'from_scratch')} ahead",
        f"{budget:.1f}e9 operations",
    ]
    headline = (
        f"accuracy with 30% of the training labels random: a weak teacher "
        f"**{noisy.cell('weak_teacher')}**; label smoothing {noisy.cell('label_smoothing')}, from "
        f"scratch {noisy.cell('from_scratch')}, the nearest class mean without training "
        f"{bare(noisy.of['from_scratch'][0]['rows']['nearest_mean']['mean'][0], 3)}, growing "
        f"{noisy.cell('net2net')}"
    )
    tables = {"digits": accuracies(short, digits, noisy)}
    shared = Supernets("supernets")
    tables["supernets"] = supernet_table(shared)
    searches = Searches()
    tables["searches"] = searches.table()
    sentences += supernet_sentences(shared) + searches.sentences()
    return Quoted(tables, sentences, {"README.md": [headline]})
