"""The table of this folder's README."""

from __future__ import annotations

from typing import Any

import experts
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
    "early_stopping": "*early_stopping*",
    "from_scratch": "*from_scratch*",
    "small_network": "*small_network*",
}
"""In the order of the table; baselines are in italics."""


class Runs:
    """The runs of one file of results.

    Attributes:
      of: by method, what was evaluated, by seed.
    """

    def __init__(self, name: str, **settings: Any) -> None:
        runs = [
            run
            for run in results("growth", f"results/{name}.json")
            if all(run["config"][field] == value for field, value in settings.items())
        ]
        runs.sort(key=lambda run: run["config"]["seed"])
        self.of: dict[str, list[dict[str, Any]]] = {}
        for run in runs:
            self.of.setdefault(run["config"]["method"], []).append(run["eval"])

    def accuracy(self, method: str, row: str = "test") -> np.ndarray:
        """Accuracies of a row, by seed."""
        return np.array([each["rows"][row]["mean"][0] for each in self.of[method]])

    def ahead(self, method: str, other: str) -> str:
        """By how much a method is ahead of another, paired by seed."""
        return ahead(self, method, self, other)

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


def ahead(runs: Runs, method: str, of: Runs, other: str) -> str:
    """By how much a method is ahead of another one of other runs, paired by seed."""
    return over_seeds(runs.accuracy(method) - of.accuracy(other))


def deep_networks(columns: dict[str, tuple[Runs, Runs]]) -> str:
    """The accuracy of deep networks; of each column, all compute and the longest chain's."""
    rows = []
    for row, title in (
        ("shallow network", "its shallow network"),
        ("assembled", "its parts, assembled and not yet trained together"),
        ("test", "incubation"),
    ):
        cells = [over_seeds(full.accuracy("incubation", row)) for full, _ in columns.values()]
        rows.append([title, *cells])
    cells = [short.cell("end_to_end") for _, short in columns.values()]
    rows.append(["*end_to_end, as long as incubation on four machines*", *cells])
    rows.append(["*end_to_end*", *(full.cell("end_to_end") for full, _ in columns.values())])
    for name, title in (("nearest_mean", "nearest mean of training images"), ("chance", "chance")):
        means = [full.of["end_to_end"][0]["rows"][name]["mean"][0] for full, _ in columns.values()]
        rows.append([f"*{title}*", *(bare(mean, 3) for mean in means)])
    return markdown(["network", *columns], rows)


def noisy_labels(fashion: Runs, tiny: Runs) -> str:
    """The accuracy of each method on Fashion-MNIST with wrong labels, and of its small network."""

    def cells(runs: Runs, method: str, row: str = "small") -> list[str]:
        small = over_seeds(runs.accuracy(method, row)) if row in runs.of[method][0]["rows"] else ""
        return [over_seeds(runs.accuracy(method)), small]

    rows = [["weak_teacher, 8 units", *cells(tiny, "weak_teacher")]]
    rows.append(["weak_teacher, 32 units", *cells(fashion, "weak_teacher")])
    rows.append(["mutual_distillation, 32 units", *cells(fashion, "mutual_distillation")])
    for method in ("label_smoothing", "early_stopping", "from_scratch"):
        rows.append([f"*{method}*", *cells(fashion, method)])
    rows.append(["*small_network, 32 units*", "", fashion.cell("small_network")])
    rows.append(["*small_network, 8 units*", "", tiny.cell("small_network")])
    for name, title in (("nearest_mean", "nearest mean of training images"), ("chance", "chance")):
        mean = fashion.of["from_scratch"][0]["rows"][name]["mean"][0]
        rows.append([f"*{title}*", bare(mean, 3), ""])
    return markdown(["method", "large network", "small network"], rows)


def texts(runs: Runs) -> str:
    """The accuracy of the next character."""
    rows = []
    for method, title in METHODS.items():
        if method in runs.of:
            small = "small" in runs.of[method][0]["rows"]
            cells = [over_seeds(runs.accuracy(method, "small"))] if small else [""]
            rows.append([title, runs.cell(method), *cells])
    for name, title in (
        ("after_last", "most frequent character after the last one"),
        ("chance", "chance"),
    ):
        mean = runs.of["from_scratch"][0]["rows"][name]["mean"][0]
        rows.append([f"*{title}*", bare(mean, 3), ""])
    return markdown(["method", "network", "its small network"], rows)


def quoted() -> Quoted:
    """Every table."""
    short, digits, noisy = Runs("short"), Runs("digits"), Runs("noisy")
    fashion = Runs("noisy_fashion", small_width=32)
    tiny = Runs("noisy_fashion", small_width=8)
    text = Runs("text")
    leads = [
        ahead(tiny, "weak_teacher", fashion, other)
        for other in ("from_scratch", "label_smoothing", "early_stopping")
    ]
    more = fashion.of["small_network"][0]["more"]["stages"][0]
    smalls = over_seeds(fashion.accuracy("mutual_distillation", "small"))
    deep = {
        f"{name}, {'residual' if residual else 'plain'}": tuple(
            Runs("deep", residual=residual, base_set=base_set, steps=steps)
            for steps in (most, least)
        )
        for name, base_set, residual, most, least in (
            ("digits", "digits", True, 600, 344),
            ("digits", "digits", False, 600, 344),
            ("Fashion-MNIST", "fashion_mnist", True, 900, 525),
        )
    }
    lead = noisy.accuracy("weak_teacher") - noisy.accuracy("weak_teacher", "small")
    large = [method for method in short.of if method != "small_network"]
    best = max(float(np.mean(short.accuracy(method))) for method in large)
    means = short.of["from_scratch"][0]["rows"]["nearest_mean"]["mean"][0]
    budget = digits.of["from_scratch"][0]["more"]["budget"] / 1e9
    whole, brief = deep["digits, residual"]
    plain, plain_brief = deep["digits, plain"]
    large, large_brief = deep["Fashion-MNIST, residual"]
    sentences = [
        f"{text.ahead('small_network', 'from_scratch')} ahead of the large one",
        f"{text.ahead('net2net', 'from_scratch')} for net2net, "
        f"{text.ahead('weak_teacher', 'from_scratch')} for a weak teacher and "
        f"{text.ahead('mutual_distillation', 'from_scratch')} for mutual distillation",
        f"teacher of 8 units lifts the large network by {leads[0]}",
        f"by {leads[1]} compared with label smoothing",
        f"by {leads[2]} compared with stopping early",
        f"which takes {more['updates'] / more['steps']:.0f} times as many updates",
        f"distillation is {fashion.ahead('mutual_distillation', 'early_stopping')} compared with "
        "stopping early",
        f"and {fashion.ahead('mutual_distillation', 'label_smoothing')} compared with label "
        "smoothing",
        f"small network has {smalls}, more than the {fashion.cell('small_network')} of",
        f"{whole.ahead('incubation', 'end_to_end')} on digits",
        f"{large.ahead('incubation', 'end_to_end')} on Fashion-MNIST",
        f"{plain.ahead('incubation', 'end_to_end')} for plain layers",
        f"{ahead(whole, 'incubation', brief, 'end_to_end')} on digits, "
        f"{ahead(large, 'incubation', large_brief, 'end_to_end')} on Fashion-MNIST and "
        f"{ahead(plain, 'incubation', plain_brief, 'end_to_end')} for plain layers",
        f"{noisy.ahead('weak_teacher', 'early_stopping')} compared with stopping early",
        f"{noisy.ahead('mutual_distillation', 'early_stopping')} for mutual distillation",
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
    without_training = noisy.of["from_scratch"][0]["rows"]["nearest_mean"]["mean"][0]
    headline = (
        f"accuracy with 30% of the training labels random: a weak teacher "
        f"**{noisy.cell('weak_teacher')}**; stopping early {noisy.cell('early_stopping')}, label "
        f"smoothing {noisy.cell('label_smoothing')}, from scratch {noisy.cell('from_scratch')}, "
        f"the nearest class mean without training {bare(without_training, 3)}, growing "
        f"{noisy.cell('net2net')}"
    )
    tables = {
        "digits": accuracies(short, digits, noisy),
        "noisy_fashion": noisy_labels(fashion, tiny),
        "deep": deep_networks(deep),
        "text": texts(text),
    }
    runs = experts.Experts()
    tables |= {"blocks": experts.blocks(runs), "domains": experts.domains(runs)}
    sentences += experts.sentences(runs)
    nets, larger = Supernets("supernets"), Supernets("fashion_supernets")
    searches = Searches()
    tables["supernets"] = supernet_table(nets)
    tables["fashion_supernets"] = supernet_table(larger)
    tables["searches"] = searches.table()
    sentences += supernet_sentences(nets, larger) + searches.sentences()
    return Quoted(tables, sentences, {"README.md": [headline]})
