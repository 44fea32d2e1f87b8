"""What the systems' figures share."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from metajax.systems.numbers import numbers

STYLES = ("-", "--", "-.", ":", (0, (7, 1.5, 1, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v")
FEW = 25
"""Points of a line that are marked one by one."""
LETTERS = 12
"""Letters of a legend that fit into an inch of a figure's width."""


def style(index: int) -> dict[str, Any]:
    """Return how the line of a place is drawn: no two differ in their color alone."""
    return {"color": f"C{index % 10}", "ls": STYLES[(index + index // 10) % len(STYLES)]}


def marks(index: int, points: int) -> dict[str, Any]:
    """Return the markers of a line of few points, which show where it was measured."""
    return {"marker": MARKERS[index % len(MARKERS)], "ms": 3.5} if points <= FEW else {}


def make_canvas(width: float, height: float) -> Any:
    """Return a new figure of a size in inches, in which nothing covers anything else."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def make_axes(xlabel: str, ylabel: str, scale: str = "linear") -> tuple[Any, Any]:
    """Return a new figure and its axes, with plain numbers on them; ``scale`` is the y-axis'."""
    from matplotlib.ticker import MaxNLocator

    canvas = make_canvas(5.5, 4)
    axes = canvas.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale=scale)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:.3g}")

    def minor(x: float, position: float) -> str:
        """All within a decade or two, 2 and 5 within three; more labels would cover each other."""
        low, high = axes.get_ylim()
        span = high / low if low > 0 else math.inf
        shown = span < 30 or (span < 1000 and f"{x:.0e}"[0] in "25")
        return f"{x:.3g}" if shown else ""

    axes.yaxis.set_minor_formatter(minor)
    axes.grid(alpha=0.25)
    axes.grid(which="minor", axis="y", alpha=0.12)
    return canvas, axes


def keep_in_sight(axes: Any, means: Any, lows: Any, highs: Any) -> float:
    """Keep a logarithmic axis where scores are; return the least that can be drawn.

    Few seeds or tasks make intervals whose lower end is below 0.

    Args:
      axes: the axes.
      means: the scores that are drawn.
      lows: lower ends of the intervals that are drawn.
      highs: upper ends of the intervals that are drawn.
    """
    every = (numbers(of).ravel() for of in (means, lows, highs))
    means, lows, highs = (of[np.isfinite(of)] for of in every)
    means = means[means > 0]
    if axes.get_yscale() != "log" or not len(means):
        return -math.inf
    top = max(means.max(), min(highs.max(initial=0.0), 3 * means.max()))
    least = means.min()
    floor = max(least / 3, min(least, lows.min(initial=least)) / 1.2)
    axes.set_ylim(floor, 1.2 * top)
    return float(floor)


def keep_fractions(axes: Any, metric: str) -> None:
    """Cut the axis of an accuracy off at 0 and 1, which wide intervals reach beyond."""
    if "accuracy" in metric:
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -0.03), min(high, 1.03))


def band(
    axes: Any,
    points: Any,
    low: Float[np.ndarray, " n"],
    high: Float[np.ndarray, " n"],
    color: Any,
    floor: float = -math.inf,
    many: int = 1,
) -> None:
    """Draw intervals as a band, which hides no other's; the paler the more (``many``) there are."""
    alpha = min(0.13, 0.6 / many)
    axes.fill_between(points, np.maximum(low, floor), high, color=color, alpha=alpha, lw=0)


def legend_outside(canvas: Any, axes: Any) -> None:
    """Put the legend below the axes, where it hides no line and can be read on a phone."""
    handles, labels = axes.get_legend_handles_labels()
    width = int(LETTERS * canvas.get_figwidth())
    labels = [textwrap.fill(label, width) for label in labels]
    lines = sum(label.count("\n") + 1 for label in labels)
    canvas.set_size_inches(canvas.get_figwidth(), canvas.get_figheight() + 0.17 * lines + 0.1)
    canvas.legend(
        handles, labels, loc="outside lower left", frameon=False, fontsize=9, handlelength=3
    )


def plot_lines(axes: Any, lines: Mapping[str, Any], points: Any = None) -> None:
    """Plot lines by their titles, at ``points``, or 0, 1, 2, ... along the x-axis."""
    for index, (title, values) in enumerate(lines.items()):
        at, values = range(len(values)) if points is None else points, numbers(values)
        axes.plot(at, values, label=title, **style(index), **marks(index, len(values)))


def along_training(history: list[dict[str, Any]], ylabel: str, scale: str) -> Any:
    """Draw what the evaluator ``new_tasks`` measured, ``last`` with ``last_ci95``, by meta-step."""
    canvas, axes = make_axes("meta-step", ylabel, scale)
    measured = [row for row in history if "new_tasks/last" in row]
    mean = numbers([row["new_tasks/last"] for row in measured])
    half = numbers([row["new_tasks/last_ci95"] for row in measured])
    axes.errorbar([row["step"] for row in measured], mean, half, marker="o", capsize=2)
    keep_in_sight(axes, mean, mean - half, mean + half)
    return canvas
