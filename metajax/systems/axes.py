"""The look that the systems' figures share."""

from __future__ import annotations

from typing import Any


def make_axes(xlabel: str, ylabel: str, scale: str = "linear") -> tuple[Any, Any]:
    """Return a new figure and its axes, with plain numbers on them; ``scale`` is the y-axis'."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    canvas = Figure(figsize=(5.5, 4), layout="constrained")
    axes = canvas.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale=scale)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for labels in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        labels("{x:.3g}")
    axes.grid(alpha=0.25)
    return canvas, axes
