"""The tables of this folder's README."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import Quoted, bare, markdown, over_seeds, results

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
    digits, more = by_method(runs), results("domains", "results/mnist_5k.json")
    mnist = by_method(more)

    def differs(found: dict[str, dict[str, np.ndarray]], method: str, row: str, of: str) -> str:
        """What a method's own images are ahead of, of itself or of another method."""
        other = found[of]["own"] if of in found else found[method][of]
        return over_seeds(found[method][row] - other)

    sizes = {run["config"]["method"]: run["summary"]["parameters"] for run in runs}
    minutes = sum(run["summary"]["cpu_seconds"] for run in runs) / 60
    sentences = [
        f"{differs(digits, 'meta_dmoe', 'own', 'pooled_training')} on turned digits",
        f"{differs(mnist, 'meta_dmoe', 'own', 'pooled_training')} on 5,000 images of MNIST",
        f"gains {differs(digits, 'meta_dmoe', 'own', 'unadapted')} and "
        f"{differs(mnist, 'meta_dmoe', 'own', 'unadapted')}",
        f"{differs(digits, 'meta_dmoe', 'own', 'opposite')} and "
        f"{differs(mnist, 'meta_dmoe', 'own', 'opposite')} ahead of the same step",
        f"{differs(digits, 'context_student', 'own', 'pooled_training')} and "
        f"{differs(mnist, 'context_student', 'own', 'pooled_training')} ahead of that network",
        f"{differs(digits, 'context_student', 'own', 'opposite')} and "
        f"{differs(mnist, 'context_student', 'own', 'opposite')} ahead of itself",
        f"{sizes['context_student']:,} parameters against {sizes['pooled_training']:,} on digits",
        f"{minutes:.0f} CPU minutes",
        f"reach {over_seeds(digits['nearest_experts']['own'])} and "
        f"{over_seeds(mnist['nearest_experts']['own'])}",
        f"the aggregator with its own head {over_seeds(digits['aggregated_experts']['own'])}",
    ]
    tables = {"digits": methods(runs), "mnist_5k": methods(more)}
    headline = (
        "accuracy on unseen turns of digits: a student that reads the images "
        f"**{over_seeds(digits['context_student']['own'])}**; Meta-DMoE "
        f"{over_seeds(digits['meta_dmoe']['own'])}, one network "
        f"{over_seeds(digits['pooled_training']['own'])}"
    )
    return Quoted(tables, sentences, {"README.md": [headline]})
