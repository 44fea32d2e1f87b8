"""What the systems' figures share."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import numbers


def make_axes(xlabel: str, ylabel: str, scale: str = "linear") -> tuple[Any, Any]:
    """Return a new figure and its axes, with plain numbers on them; ``scale`` is the y-axis'."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    canvas = Figure(figsize=(5.5, 4), layout="constrained")
    axes = canvas.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale=scale)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter("{x:.3g}")

    def minor(x: float, position: float) -> str:
        """Within a decade or two; over more the labels would cover each other."""
        low, high = axes.get_ylim()
        return f"{x:.3g}" if low > 0 and high < 30 * low else ""

    axes.yaxis.set_minor_formatter(minor)
    axes.grid(alpha=0.25)
    return canvas, axes


def along_training(history: list[dict[str, Any]], ylabel: str, scale: str = "linear") -> Any:
    """Draw what the evaluator ``new_tasks`` measured, ``last`` with ``last_ci95``, by meta-step."""
    canvas, axes = make_axes("meta-step", ylabel, scale)
    measured = [row for row in history if "new_tasks/last" in row]
    axes.errorbar(
        [row["step"] for row in measured],
        numbers([row["new_tasks/last"] for row in measured]),
        numbers([row["new_tasks/last_ci95"] for row in measured]),
        marker="o",
        capsize=2,
    )
    return canvas
