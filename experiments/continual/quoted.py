"""The tables of this folder's README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, results
from scipy import stats

BOUNDS = ("separate_networks", "joint_training")
"""Methods that keep a network, or all examples, of every task."""


def mean_of(values: Sequence[float], digits: int = 3) -> str:
    """A mean over seeds with its 95% interval, by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{bare(float(np.mean(values)), digits)} ±{bare(float(half), digits)}"


def by_method(runs: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Runs by method, in the order in which they were collected."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault(run["config"]["method"], []).append(run)
    return found


def sequence(runs: list[dict[str, Any]]) -> str:
    """What is known after the last task, what was known just after each, and what is kept."""
    rows = []
    for name, group in by_method(runs).items():
        more = [run["eval"]["more"] for run in group]
        kept = more[0]["numbers"]
        told = mean_of([one["inferred"] for one in more]) if "inferred" in more[0] else ""
        rows.append(
            [
                f"*{name}*" if name in BOUNDS else name,
                *(mean_of([one[of] for one in more]) for of in ("final", "during", "forgetting")),
                told,
                f"{kept['predicting']:,}",
                f"{kept['learning']:,}",
            ]
        )
    means = runs[0]["eval"]["more"]["class_means"]["final"]
    rows.append(
        ["*nearest class mean, no training*", bare(means, 3), bare(means, 3), "0", *[""] * 3]
    )
    header = [
        "method",
        "final",
        "just after each",
        "forgotten",
        "task not told",
        "numbers to predict",
        "and to learn on",
    ]
    return markdown(header, rows)


def quoted() -> Quoted:
    """Every table."""
    runs = results("continual", "results/permuted_digits.json")
    more = {name: [run["eval"]["more"] for run in group] for name, group in by_method(runs).items()}

    def of(name: str, figure: str) -> str:
        return mean_of([one[figure] for one in more[name]])

    kept = {name: group[0]["numbers"]["predicting"] for name, group in more.items()}
    sentences = [
        f"{of('hypernetwork', 'forgetting')} is forgotten",
        f"one network forgets {of('fine_tuning', 'forgetting')}",
        f"EWC {of('elastic_weights', 'forgetting')}",
        f"({of('small_networks', 'final')} at last)",
        f"{of('interval_hypernetwork', 'final')}, far below",
        f"nearest class mean ({bare(more['fine_tuning'][0]['class_means']['final'], 3)})",
        f"{kept['recurrent_hypernetwork']:,} parameters against {kept['hypernetwork']:,}",
    ]
    headline = (
        f"accuracy on five permuted tasks after the last: **{of('hypernetwork', 'final')}**; "
        f"one network {of('fine_tuning', 'final')}, small networks of equal memory "
        f"{of('small_networks', 'final')}"
    )
    return Quoted({"permuted": sequence(runs)}, sentences, {"README.md": [headline]})
