"""What an evaluation looks like: a table for the terminal and curves for the report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metajax.systems.axes import along_training, make_axes
from metajax.systems.base import Figure
from metajax.systems.numbers import cell, numbers, said

POINTS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
"""Points of an axis that a table shows, and the last one; all where there are few."""
FEW = 11
STYLES = ("-", "-.", "--", ":")


def shown_points(points: Sequence[float]) -> list[int]:
    """Return the indices of those points of an axis that a table shows."""
    return [
        index
        for index, point in enumerate(points)
        if point in POINTS or point == points[-1] or (len(points) <= FEW and points[1] > 1)
    ]


def table(evaluation: dict[str, Any], spec: str = ".3f") -> str:
    """Return the rows of an evaluation, at some points of its axis, as plain text.

    Args:
      evaluation: the content of ``eval.json``.
      spec: the format of a score.
    """
    points, metric = evaluation["points"], evaluation["metric"]
    shown = shown_points(points)
    moves = len(points) > 1
    head = f"{metric} after n {evaluation['axis']}: n =" if moves else metric
    first = f"{head:44}" + "".join(f"{points[index] if moves else '':>9}" for index in shown)
    lines = [first, "-" * len(first)]
    for row in evaluation["rows"].values():
        mean = row["mean"]
        at = [mean[index] if len(mean) > 1 else mean[0] for index in shown]
        lines.append(f"{row['title']:44}" + "".join(cell(value, spec, 9) for value in at))
    lines.append(f"{evaluation['method']}, {evaluation['setting']}: {last(evaluation, spec)}.")
    return "\n".join(lines)


def last(evaluation: dict[str, Any], spec: str = ".3f") -> str:
    """Return the last score of the first row with its interval, in words."""
    row = next(iter(evaluation["rows"].values()))
    mean, low, high = (numbers(row[name][-1]) for name in ("mean", "low", "high"))
    half = said(float(high - low) / 2, spec)
    return f"{said(float(mean), spec)} ±{half} (95% interval over {row['n']} tasks)"


def curves(evaluation: dict[str, Any]) -> Any:
    """Draw the rows of an evaluation along its axis, with their intervals."""
    metric = evaluation["metric"]
    canvas, axes = make_axes(evaluation["axis"], f"{metric} on the query", scale(evaluation))
    for index, row in enumerate(evaluation["rows"].values()):
        mean, low, high = (numbers(row[name]) for name in ("mean", "low", "high"))
        style = STYLES[index % len(STYLES)]
        if len(mean) > 1:
            spread = [mean - low, high - mean]
            axes.errorbar(
                evaluation["points"], mean, spread, ls=style, elinewidth=0.8, label=row["title"]
            )
        else:
            axes.axhline(mean[0], ls=style, color="grey", label=row["title"])
    axes.legend(frameon=False)
    return canvas


def scale(evaluation: dict[str, Any]) -> str:
    """Return the scale of a metric's axis: an error spans magnitudes, an accuracy does not."""
    return "linear" if evaluation["greatest"] else "log"


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the figures of any family: the score along its axis, and along meta-training."""
    metric, axis = evaluation["metric"], evaluation["axis"]

    def adaptation() -> Any:
        return curves(evaluation)

    def training() -> Any:
        return along_training(history, f"{metric} on new tasks", scale(evaluation))

    name = metric.capitalize()
    made = [Figure("training", f"{name} on new tasks along meta-training.", training)]
    if len(evaluation["points"]) > 1:
        caption = f"{name} by {axis}, with 95% intervals."
        made.insert(0, Figure("adaptation", caption, adaptation))
    return made
