"""The table of a run: scores along the inner optimization, and what the paper reports."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import said
from metajax.systems.show import table as shared_table

PAPER = {
    ("sinusoid", ""): "squared error .327 (HyperDistill), .567 (first-order)",
    ("anil", "tiny_imagenet"): "56.37% (HyperDistill), 53.62% (first-order)",
    ("warpgrad", "tiny_imagenet"): "55.04% (HyperDistill), 53.54% (first-order)",
    ("warpgrad", "cifar100"): "60.91% (HyperDistill), 58.16% (first-order)",
    ("weights", "cifar100"): "60.82% (HyperDistill), 58.45% (one-step)",
}
"""What the paper reports, by test-bed and base set (arXiv 2110.02508)."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the scores at some inner steps, the median, and what the paper reports."""
    more = evaluation["more"]
    lines = [f"Median over the tasks: {said(more['last_median']['new_tasks'], '.3f')}."]
    paper = PAPER.get((more["testbed"], more["base_set"]))
    if paper is not None:
        lines.append(f"The paper: {paper}.")
    return shared_table(evaluation, lines=lines)
