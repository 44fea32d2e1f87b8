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
    lines = [shared_table(evaluation).replace(" tasks).", " test images).")]
    stages = (
        f"{one['network']}: {one['steps']} steps, {one['updates']} updates"
        for one in more["stages"]
    )
    lines.append("; ".join(stages) + ".")
    share = more["flops"] / more["budget"]
    lines.append(
        f"{more['flops']:.3g} operations, {share:.3f} of as many steps of the large network."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracies, and their change along the compute of training."""
    caption = "Accuracy: means over test images, with 95% intervals."
    found = [score_figure(evaluation)._replace(caption=caption)]
    if "members" in evaluation["more"]:
        found.append(captioned(by_size, evaluation))
    if any("test/last" in row for row in history):
        found.append(captioned(by_compute, evaluation, history))
    return found


def by_size(evaluation: dict[str, Any]) -> Any:
    """Accuracy of every network by its operations for an image; a line leads along the best."""
    canvas, axes = make_axes("operations for an image", "accuracy on test images", "linear")
    members = evaluation["more"]["members"]
    flops, scores = (numbers([one[what] for one in members]) for what in ("flops", "accuracy"))
    axes.plot(flops, scores, "o", ms=4, alpha=0.6)
    # the best of those that cost no more
    order = np.lexsort((-scores, flops))
    axes.step(flops[order], np.fmax.accumulate(scores[order]), where="post", color="C1", lw=1)
    return canvas


def by_compute(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> Any:
    """Accuracy of the network in use by operations of training; lines begin stages."""
    more = evaluation["more"]
    ends = np.cumsum([stage["steps"] for stage in more["stages"]])
    cost = more["budget"] / ends[-1]
    canvas, axes = make_axes("operations", "accuracy on test images", "linear")
    measured = [row for row in history if "test/last" in row]
    mean = numbers([row["test/last"] for row in measured])
    half = numbers([row["test/last_ci95"] for row in measured])
    along = [row["step"] * cost for row in measured]
    axes.errorbar(along, mean, half, marker="o", capsize=2)
    for end in ends[:-1]:
        axes.axvline(end * cost, color="gray", lw=0.6)
    keep_in_sight(axes, mean, mean - half, mean + half)
    return canvas
