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
    stages = [
        f"{one['network']}: {one['steps']} steps, {one['updates']} updates"
        for one in more["stages"]
    ]
    share, apart = more["flops"] / more["budget"], more["longest"] / more["budget"]
    lines = [
        "; ".join(stages) + ".",
        f"{more['flops']:.3g} operations, {share:.3f} of as many steps of the large network.",
    ]
    if more["longest"] < more["flops"]:
        lines.append(f"{apart:.3f} where what could be trained side by side counts once.")
    if "snapshot" in more:
        lines.append(f"Held-out images chose snapshot {more['snapshot'] + 1}.")
    return shared_table(evaluation, over=what, lines=lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracies, and their change along the compute of training."""
    caption = "Accuracy: means over what is tested, with 95% intervals."
    drawn = [score_figure(evaluation, caption)]
    if "members" in evaluation["more"]:
        drawn.append(captioned(by_size, evaluation))
    if any("test/last" in row for row in history):
        drawn.append(captioned(by_compute, evaluation, history))
    drawn += [
        captioned(draw, evaluation)
        for draw in (used_together, routes)
        if draw.__name__ in evaluation["more"]
    ]
    return drawn


def used_together(evaluation: dict[str, Any]) -> Any:
    """Share of the test images that use two experts together, in each block; on the diagonal one.

    Lines part the copies of a block.
    """
    from matplotlib.figure import Figure as Canvas

    blocks = numbers(evaluation["more"]["used_together"])
    canvas = Canvas(figsize=(1 + 2.6 * len(blocks), 3.2), layout="constrained")
    grid = canvas.subplots(1, len(blocks), squeeze=False)[0]
    parts = max(round(float(np.trace(blocks[0]))), 1)
    for number, (axes, values) in enumerate(zip(grid, blocks, strict=True)):
        image = axes.imshow(values, vmin=0, vmax=float(blocks.max()), cmap="viridis")
        axes.set(title=f"block {number + 1}", xlabel="expert")
        for edge in range(parts, len(values), parts):
            axes.axhline(edge - 0.5, color="white", lw=0.6)
            axes.axvline(edge - 0.5, color="white", lw=0.6)
    grid[0].set_ylabel("expert")
    canvas.colorbar(image, ax=grid.tolist(), label="share of test images")
    return canvas


def routes(evaluation: dict[str, Any]) -> Any:
    """Share of each domain's test images that the router gives to each expert."""
    canvas, axes = make_axes("expert", "domain of the image", "linear")
    values = numbers(evaluation["more"]["routes"])
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis")
    for (row, column), value in np.ndenumerate(values):
        color = "black" if value > 0.6 else "white"
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=color)
    axes.set(xticks=range(len(values)), yticks=range(len(values)))
    axes.grid(visible=False)
    canvas.colorbar(image, ax=axes, label="share of test images")
    return canvas


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
