"""The report on growth: accuracies, and what training has cost."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import keep_in_sight, make_axes
from metajax.systems.numbers import numbers
from metajax.systems.show import Figure, captioned, score_figure
from metajax.systems.show import table as shared_table


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracies, the stages of training, and their operations."""
    more = evaluation["more"]
    what = "characters of the test" if "after_last" in evaluation["rows"] else "test images"
    lines = [shared_table(evaluation).replace(" tasks).", f" {what}).")]
    stages = (
        f"{one['network']}: {one['steps']} steps, {one['updates']} updates"
        for one in more["stages"]
    )
    lines.append("; ".join(stages) + ".")
    share = more["flops"] / more["budget"]
    lines.append(
        f"{more['flops']:.3g} operations, {share:.3f} of as many steps of the large network."
    )
    if more["longest"] < more["flops"]:
        share = more["longest"] / more["budget"]
        lines.append(f"{share:.3f} where what could be trained side by side counts once.")
    if "snapshot" in more:
        lines.append(f"Held-out images chose snapshot {more['snapshot'] + 1}.")
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracies, and their change along the compute of training."""
    caption = "Accuracy: means over what is tested, with 95% intervals."
    scores = score_figure(evaluation)._replace(caption=caption)
    if not any("test/last" in row for row in history):
        return [scores]
    return [scores, captioned(by_compute, evaluation, history)]


def by_compute(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> Any:
    """Accuracy of the network in use by operations of training; lines begin stages."""
    more = evaluation["more"]
    ends = np.cumsum([stage["steps"] for stage in more["stages"]])
    costs = np.cumsum([stage["flops"] for stage in more["stages"]])
    canvas, axes = make_axes("operations", "accuracy of the test", "linear")
    measured = [row for row in history if "test/last" in row]
    mean = numbers([row["test/last"] for row in measured])
    half = numbers([row["test/last_ci95"] for row in measured])
    along = np.interp([row["step"] for row in measured], [0, *ends], [0, *costs])
    axes.errorbar(along, mean, half, marker="o", capsize=2)
    for cost in costs[:-1]:
        axes.axvline(cost, color="gray", lw=0.6)
    keep_in_sight(axes, mean, mean - half, mean + half)
    return canvas
