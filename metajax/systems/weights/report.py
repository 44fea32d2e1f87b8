"""The table and the figures of angles and widths, and lines that others share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metajax.systems.numbers import aligned, cell
from metajax.systems.show import Figure, last_of, score_figure, training_figures

MOST = 9
"""Conditions that a table shows at most."""


def condition_table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by condition, at some of them, and its mean over all."""
    said = last_of(evaluation["rows"]["mean"], over="test images")
    told = f"{evaluation['method']}, {evaluation['setting']}: {said}, mean over conditions."
    return "\n".join([*lines_of(evaluation), told])


def lines_of(
    evaluation: dict[str, Any], below: Mapping[str, Sequence[str]] | None = None
) -> list[str]:
    """Return the lines of a table with the accuracy at some conditions.

    Args:
      evaluation: the content of ``eval.json``.
      below: more rows by title, with a cell for each condition.
    """
    points = evaluation["points"]
    every = -(-len(points) // MOST)
    shown = range(0, len(points), every)
    rows = [[f"accuracy by {evaluation['axis']}", *(f"{points[index]:g}" for index in shown)]]
    for row in evaluation["rows"].values():
        mean = row["mean"]
        at = [mean[index] for index in shown] if len(mean) > 1 else mean
        rows.append([row["title"], *(cell(value, ".3f") for value in at)])
    for title, cells in (below or {}).items():
        rows.append([title, *(cells[index] for index in shown)])
    width = max(map(len, rows))
    return aligned([row + [""] * (width - len(row)) for row in rows], first=44, least=7)


def without_mean(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return an evaluation without its row ``mean``, which has no place along the axis."""
    rows = {name: row for name, row in evaluation["rows"].items() if name != "mean"}
    return {**evaluation, "rows": rows}


def condition_figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by condition, and its mean along training."""
    caption = (
        f"Accuracy by {evaluation['axis']}: means over test images, with 95% intervals as bands. "
        "Level lines: means over all conditions."
    )
    along = training_figures(history, "mean accuracy over conditions", "linear")
    return [score_figure(evaluation, caption), *along]
