"""The tables of this folder's README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, power, results

BOUNDS = ("separate_networks", "joint_training")
"""Methods that keep a network, or all examples, of every task."""
GENERATED = ("hypernetwork", "neighbor_hypernetwork", "recurrent_hypernetwork")
PRESETS = (
    "permuted_mnist",
    "permuted_digits",
    "split_mnist",
    "split_digits",
    "split_fashion",
    "rotated_digits",
)


def best(entry: dict[str, Any]) -> dict[str, Any]:
    """The strength with the greatest final accuracy, of those that no seed failed with."""
    seeds = max(len(group["seeds"]) for group in entry["strengths"])
    whole = [group for group in entry["strengths"] if len(group["seeds"]) == seeds]
    return max(whole, key=lambda group: np.mean(group["final"]))


def at(entry: dict[str, Any], strength: float) -> dict[str, Any]:
    """The runs of one strength."""
    return next(group for group in entry["strengths"] if group["strength"] == strength)


def said(strength: float | None) -> str:
    """A strength in a cell."""
    return "" if strength is None else bare(strength, 3).rstrip("0").rstrip(".") or "0"


def class_means(found: dict[str, Any]) -> tuple[str, str]:
    """The nearest class mean, where the task is told and where it is not."""
    means = next(iter(found.values()))["class_means"]
    return bare(means["final"], 3), bare(means["inferred"], 3)


def sequence(found: dict[str, Any]) -> str:
    """Each method with its best strength: what it knows at last, and what is kept."""
    rows = []
    for name, entry in found.items():
        group, kept = best(entry), entry["numbers"]
        rows.append(
            [
                f"*{name}*" if name in BOUNDS else name,
                said(group["strength"]),
                *(over_seeds(group[of]) for of in ("final", "during", "forgetting")),
                *(over_seeds(group[of]) if of in group else "" for of in ("inferred", "universal")),
                f"{kept['predicting']:,}",
                f"{kept['learning']:,}",
            ]
        )
    means, untold = class_means(found)
    rows.append(["*nearest class mean, no training*", "", means, means, "0", untold, *[""] * 3])
    header = ["method", "strength", "final", "just after each", "forgotten", "task not told"]
    header += ["one for all", "numbers to predict", "and to learn on"]
    return markdown(header, rows)


def crossing(found: dict[str, Any]) -> str:
    """Final accuracy, that just after each task, and forgetting, by strength."""
    rows = []
    for name in GENERATED:
        for group in found[name]["strengths"]:
            cells = [over_seeds(group[of]) for of in ("final", "during", "forgetting")]
            parameters = f"{found[name]['numbers']['predicting']:,}"
            rows.append([name, parameters, said(group["strength"]), *cells])
    header = ["method", "parameters", "strength", "final", "just after each", "forgotten"]
    return markdown(header, rows)


def gain(found: dict[str, Any], one: str, other: str, strength: float) -> str:
    """By how many points of final accuracy one method is ahead of another, seed by seed."""
    finals = [np.array(at(found[name], strength)["final"]) for name in (one, other)]
    return over_seeds(100 * (finals[0] - finals[1]), 1, True)


def recurrence(every: dict[str, Any]) -> str:
    """Points of final accuracy that recurrence, and a neighbor's embedding, add."""
    rows = []
    for preset, found in every.items():
        if not set(GENERATED) <= found.keys():
            continue
        plain, neighbor, recurrent = GENERATED
        for strength in (0.01, 0.1):
            pairs = [(recurrent, plain), (neighbor, plain), (recurrent, neighbor)]
            rows.append([preset, said(strength), *(gain(found, *pair, strength) for pair in pairs)])
    header = ["tasks", "strength", "LSTM over apart", "neighbor over apart", "LSTM over neighbor"]
    return markdown(header, rows)


def intervals(every: dict[str, Any], presets: Sequence[str]) -> str:
    """HyperInterval by strength, with its controls."""
    rows = []
    for preset in presets:
        found = every[preset]
        groups = [
            (name, group)
            for name, strengths in (("interval_hypernetwork", OF), ("hypernetwork", (0.01, 1.0)))
            for group in found[name]["strengths"]
            if group["strength"] in strengths
        ]
        groups += [
            (name, best(found[name]))
            for name in ("elastic_weights", "fine_tuning", "joint_training")
            if name in found
        ]
        for name, group in groups:
            cells = [
                over_seeds(group[of]) if of in group else ""
                for of in ("final", "universal", "verified", "during")
            ]
            rows.append([preset, name, said(group["strength"]), *cells])
        means, untold = class_means(found)
        rows.append([preset, "*nearest class mean, no training*", "", means, untold, "", means])
    header = ["tasks", "method", "strength", "own embedding", "one for all", "verified"]
    return markdown([*header, "just after each"], rows)


OF = (0.1, 1.0, 10.0)
"""Strengths of HyperInterval in its table."""
SAME = 1e-6
"""Difference of accuracies up to which they are the same, by rounding."""
WITH_INTERVALS = ("split_mnist",)
"""Tasks of that table."""


def excess(every: dict[str, Any]) -> float:
    """The largest excess of a logit over HyperInterval's bounds, in all runs."""
    groups = [
        group
        for found in every.values()
        for group in found.get("interval_hypernetwork", {"strengths": []})["strengths"]
    ]
    return max(max(group["excess"]) for group in groups if "excess" in group)


def one_seed(found: dict[str, Any]) -> str:
    """HyperInterval of one seed on permuted digits, with boxes nested and apart."""
    rows = [
        [
            "apart" if "apart" in name else "nested",
            said(group["strength"]),
            *(bare(group[of][0], 3) for of in ("final", "during", "forgetting", "verified")),
        ]
        for name, entry in found.items()
        for group in entry["strengths"]
    ]
    header = ["boxes", "strength", "final", "just after each", "forgotten", "verified"]
    return markdown(header, rows)


def one_network(group: dict[str, Any]) -> str:
    """In how many runs the bounds prove all that a box's middle gets right: the box is a point."""
    pairs = list(zip(group["final"], group["verified"], strict=True))
    return f"{sum(abs(own - sure) < SAME for own, sure in pairs)} of {len(pairs)} seeds"


def quoted() -> Quoted:
    """Every table and sentence."""
    every = {preset: results("continual", f"results/{preset}.json") for preset in PRESETS}
    tables = {preset: sequence(found) for preset, found in every.items()}
    images, digits, two = (
        every[name] for name in ("permuted_mnist", "permuted_digits", "split_mnist")
    )
    tables["crossing"] = crossing(images)
    tables["recurrence"] = recurrence(every)
    tables["intervals"] = intervals(every, [name for name in PRESETS if name in WITH_INTERVALS])

    single = results("continual", "results/permuted_digits_one_seed.json")
    tables["one_seed"] = one_seed(single)

    def of(found: Any, name: str, figure: str = "final", strength: float | None = None) -> str:
        group = best(found[name]) if strength is None else at(found[name], strength)
        return over_seeds(group[figure])

    longer = results("continual", "results/permuted_mnist_long.json")
    plain, neighbor, recurrent = GENERATED
    small, box = "small_networks", "interval_hypernetwork"
    minutes = results("../benchmarks", "results/continual.json")["methods"]
    sentences = [
        f"know {of(images, small)} of eight permuted tasks of MNIST at last",
        f"hypernetworks {of(images, plain)} (chunks apart) and {of(images, recurrent)} (an LSTM)",
        f"nearest class mean, which needs no training, {class_means(images)[0]}",
        f"With three times the steps hypernetworks know {of(longer, plain)}, small networks "
        f"{of(longer, small)}",
        f"digits hypernetworks ({of(digits, plain)}) are above it ({class_means(digits)[0]})",
        f"forget {of(images, plain, 'forgetting', 0.1)} at strength .1, "
        f"{of(images, plain, 'forgetting', 0.0)} without",
        f"one network {of(images, 'fine_tuning', 'forgetting')}",
        f"{gain(images, recurrent, plain, 0.01)} points at strength .01",
        f"{gain(images, recurrent, neighbor, 0.01)} over the control",
        f"knows {of(two, box, 'universal', 1.0)} of two-way tasks of MNIST",
        f"mean embedding of a plain hypernetwork {of(two, plain, 'universal', 1.0)}",
        f"one network {of(two, 'fine_tuning')}",
        f"nearest of all class means {class_means(two)[1]}",
        f"joint training {of(two, 'joint_training')}",
        f"At strength 1 they are equal in {one_network(at(two[box], 1.0))}",
        f"EWC {of(images, 'elastic_weights')} with the best of its strengths",
        f"HyperInterval knows {of(digits, box)} at strength {said(best(digits[box])['strength'])}",
        f"{power(excess(every), 0) if excess(every) else '0'} of the largest bound",
        f"take {minutes[plain]['cpu_minutes']:.1f} CPU minutes with chunks made apart",
    ]
    headline = (
        f"accuracy on five permuted tasks after the last: **{of(digits, plain)}**; "
        f"one network {of(digits, 'fine_tuning')}, small networks of equal memory "
        f"{of(digits, small)}"
    )
    return Quoted(tables, sentences, {"README.md": [headline]})
