"""The tables of this folder's README."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, results
from scipy import stats

METHODS = (
    "meta_dmoe",
    "pooled_training",
    "context_student",
    "aggregated_experts",
    "mean_of_experts",
    "nearest_experts",
)
"""In the order of the tables."""
NAMES = {"nearest_experts": "*nearest_experts*, which know the domain"}
"""Of methods that need words in a table."""
ROWS = ("own", "unadapted", "opposite")
"""What accuracies are measured after: own images, none, those of the opposite domain."""


def over_seeds(values: Sequence[float], digits: int = 3) -> str:
    """A mean over seeds with its 95% interval, by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{bare(float(np.mean(values)), digits)} ±{bare(float(half), digits)}"


def by_method(runs: list[dict[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """By method, the accuracies of its runs by row."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        found.setdefault(run["config"]["method"], []).append(run["eval"]["rows"])
    return {
        method: {
            row: np.array([one[row]["mean"][0] for one in found[method]])
            for row in ROWS
            if row in found[method][0]
        }
        for method in METHODS
        if method in found
    }


def methods(runs: list[dict[str, Any]]) -> str:
    """The accuracy of each method on target domains."""
    rows = [
        [
            NAMES.get(method, method),
            *(over_seeds(found[row]) if row in found else "" for row in ROWS),
        ]
        for method, found in by_method(runs).items()
    ]
    nearest = runs[0]["eval"]["rows"]["nearest_mean"]["mean"][0]
    rows.append(["*nearest mean of training images*", bare(nearest, 3), "", ""])
    header = ["method", "own images", "before adapting", "opposite domain's images"]
    return markdown(header, rows)


def quoted() -> Quoted:
    """Every table."""
    runs = results("domains", "results/digits.json")
    digits = by_method(runs)
    ours, pooled = digits["meta_dmoe"], digits["pooled_training"]["own"]
    context = digits["context_student"]
    sizes = {run["config"]["method"]: run["summary"]["parameters"] for run in runs}
    minutes = sum(run["summary"]["cpu_seconds"] for run in runs) / 60
    sentences = [
        f"reach {over_seeds(digits['nearest_experts']['own'])}",
        f"the aggregator with its own head {over_seeds(digits['aggregated_experts']['own'])}",
        f"{over_seeds(ours['own'] - pooled)} compared with one network",
        f"gains {over_seeds(ours['own'] - ours['unadapted'])}",
        f"{over_seeds(ours['own'] - ours['opposite'])} compared with images of the opposite",
        f"{over_seeds(context['own'] - pooled)} ahead of that network",
        f"{over_seeds(context['own'] - context['opposite'])} ahead of itself",
        f"{sizes['context_student']:,} parameters against {sizes['pooled_training']:,}",
        f"{minutes:.0f} CPU minutes",
    ]
    return Quoted({"digits": methods(runs)}, sentences)
