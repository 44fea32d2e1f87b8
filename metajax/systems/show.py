"""What an evaluation looks like: a table for the terminal and curves for the report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from metajax.systems.axes import (
    along_training,
    band,
    keep_fractions,
    keep_in_sight,
    legend_outside,
    make_axes,
    marks,
    style,
)
from metajax.systems.numbers import aligned, cell, numbers, said
from metajax.systems.options import summary

POINTS = (0, 1, 2, 3, 5, 10, 20, 50, 100)
"""Points of an axis that a table shows, and the last one; all where there are few."""
FEW = 11


class Figure(NamedTuple):
    """A figure of a report: file name without suffix, caption, and a drawing function.

    ``draw()`` returns a ``matplotlib.figure.Figure``.
    """

    name: str
    caption: str
    draw: Callable[[], Any]


def shown_points(points: Sequence[float]) -> list[int]:
    """Return the indices of those points of an axis that a table shows."""
    return [
        index
        for index, point in enumerate(points)
        if point in POINTS or point == points[-1] or (len(points) <= FEW and points[1] > 1)
    ]


def table(
    evaluation: dict[str, Any],
    spec: str = ".3f",
    over: str = "tasks",
    lines: Iterable[str] = (),
) -> str:
    """Return the rows of an evaluation, and its last score in words, as plain text.

    Args:
      evaluation: the content of ``eval.json``.
      spec: the format of a score.
      over: what intervals are over.
      lines: of the family's own, which follow.
    """
    return told(evaluation, f": {last(evaluation, spec, over)}.", lines, spec)


def told(evaluation: dict[str, Any], words: str, lines: Iterable[str], spec: str = ".3f") -> str:
    """Return the rows of an evaluation, its method with its tasks, and further lines.

    Args:
      evaluation: the content of ``eval.json``.
      words: which follow the method and its tasks in their line.
      lines: which follow that line.
      spec: the format of a score.
    """
    sentence = f"{evaluation['method']}, {evaluation['setting']}{words}"
    return "\n".join([*score_lines(evaluation, spec), sentence, *lines])


def score_lines(evaluation: dict[str, Any], spec: str = ".3f") -> list[str]:
    """Return the lines of a table of an evaluation's rows, at some points of its axis."""
    points, metric = evaluation["points"], evaluation["metric"]
    shown = shown_points(points)
    moves = len(points) > 1
    head = f"{metric} after n {evaluation['axis']}: n =" if moves else metric
    rows = [[head, *(f"{points[index]:g}" if moves else "" for index in shown)]]
    for row in evaluation["rows"].values():
        mean = row["mean"]
        at = [mean[index] if len(mean) > 1 else mean[0] for index in shown]
        rows.append([row["title"], *(cell(value, spec) for value in at)])
    return aligned(rows, first=44, least=9)


def first_row(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return the row that runs are compared by."""
    return next(iter(evaluation["rows"].values()))


def last(evaluation: dict[str, Any], spec: str = ".3f", over: str = "tasks") -> str:
    """Return the last score of the first row with its interval, in words."""
    return last_of(first_row(evaluation), spec, over)


def last_of(row: dict[str, Any], spec: str = ".3f", over: str = "tasks") -> str:
    """Return the last score of a row with its interval, in words."""
    return f"{with_half(row, spec)} (95% interval over {row['n']} {over})"


def with_half(row: dict[str, Any], spec: str = ".3f") -> str:
    """Return the last score of a row with the half-width of its interval."""
    mean, low, high = (numbers(row[name][-1]) for name in ("mean", "low", "high"))
    return f"{said(float(mean), spec)} ±{said(float(high - low) / 2, spec)}"


def curves(evaluation: dict[str, Any]) -> Any:
    """Draw the rows of an evaluation along its axis, with their intervals as bands."""
    metric, points = evaluation["metric"], numbers(evaluation["points"])
    canvas, axes = make_axes(evaluation["axis"], metric, scale(evaluation))
    rows = list(evaluation["rows"].values())
    means, lows, highs = ([numbers(row[name]) for row in rows] for name in ("mean", "low", "high"))
    for index, (row, mean) in enumerate(zip(rows, means, strict=True)):
        look = style(index)
        if len(mean) > 1:
            axes.plot(points, mean, label=row["title"], **look, **marks(index, len(points)))
        else:
            axes.axhline(mean[0], label=row["title"], color="gray", ls=look["ls"])
    floor = keep_in_sight(axes, *map(np.concatenate, (means, lows, highs)))
    for index, (low, high) in enumerate(zip(lows, highs, strict=True)):
        if len(low) > 1:
            band(axes, points, low, high, style(index)["color"], floor)
    keep_fractions(axes, metric)
    legend_outside(canvas, axes)
    return canvas


def bars(evaluation: dict[str, Any]) -> Any:
    """Draw the rows of an evaluation that has no axis, one above another, with their intervals."""
    from matplotlib.ticker import MaxNLocator

    canvas, axes = make_axes("", "", "linear")
    axes.xaxis.set_major_locator(MaxNLocator(8))  # scores, not whole steps
    rows = list(evaluation["rows"].values())
    canvas.set_size_inches(7, 1.2 + 0.4 * len(rows))
    for index, row in enumerate(rows):
        mean, low, high = (numbers(row[name])[-1] for name in ("mean", "low", "high"))
        axes.errorbar(mean, index, xerr=[[mean - low], [high - mean]], fmt="o", capsize=3)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.set(xlabel=evaluation["metric"], ylim=(len(rows) - 0.5, -0.5))
    return canvas


def scale(evaluation: dict[str, Any]) -> str:
    """Return the scale of a metric's axis: an error spans magnitudes, an accuracy does not."""
    return "linear" if evaluation["greatest"] else "log"


def captioned(draw: Callable[..., Any], *of: Any) -> Figure:
    """Return the figure ``draw(*of)``: its name is the function's, its caption the docstring."""
    return Figure(draw.__name__, summary(draw), functools.partial(draw, *of))


def score_figure(evaluation: dict[str, Any], caption: str = "") -> Figure:
    """Return the figure of the rows: along their axis, or with one score each.

    Args:
      evaluation: the content of ``eval.json``.
      caption: of the figure; empty: one for means over tasks.
    """
    name, rows = evaluation["metric"].capitalize(), evaluation["rows"].values()
    if len(evaluation["points"]) == 1:
        usual = f"{name}: means over tasks, with 95% intervals."
        return Figure("scores", caption or usual, functools.partial(bars, evaluation))
    usual = f"{name} by {evaluation['axis']}: means over tasks, with 95% intervals as bands."
    if any(len(row["mean"]) == 1 for row in rows):
        usual += " Level lines: what takes no such steps."
    return Figure("adaptation", caption or usual, functools.partial(curves, evaluation))


def training_figures(history: list[dict[str, Any]], what: str, scale: str) -> list[Figure]:
    """Return the figure of what ``new_tasks`` measured along training; none if it did not."""
    if not any("new_tasks/last" in row for row in history):
        return []
    caption = f"{what[0].upper()}{what[1:]} along meta-training, with 95% intervals."
    return [Figure("training", caption, functools.partial(along_training, history, what, scale))]


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the figures of any family: the score along its axis, and along meta-training."""
    along = training_figures(history, f"{evaluation['metric']} on new tasks", scale(evaluation))
    return [score_figure(evaluation), *along]
