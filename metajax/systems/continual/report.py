"""The report on a sequence: a table, and the accuracies after each task on every task."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import make_canvas
from metajax.systems.numbers import numbers, said
from metajax.systems.show import Figure, captioned, first_row, score_figure, told

TITLES = {
    "final": "after the last task",
    "during": "just after each task",
    "forgetting": "forgotten since",
    "inferred": "where the task is not told",
    "universal": "by one network for all tasks",
    "verified": "proved by bounds",
}
"""Accuracies of an evaluation, in words."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by task, what is forgotten, and the numbers that are kept."""
    more = evaluation["more"]
    lines = [f"  {TITLES[name]} {said(more[name], '.3f')}" for name in TITLES if name in more]
    images = first_row(evaluation)["n"]
    lines.append(f"Intervals of 95% are over the held-out images, {images} or more of each task.")
    kept = more["numbers"]
    if kept is not None:
        lines.append(
            f"{kept['predicting']:,} numbers are kept for predicting, {kept['learning']:,} more to "
            "learn further tasks."
        )
    return told(evaluation, ". Accuracy on all tasks:", lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by task, and the matrix."""
    caption = "Accuracy on all tasks so far, with 95% intervals over held-out images."
    return [score_figure(evaluation, caption), captioned(matrix, evaluation)]


def matrix(evaluation: dict[str, Any]) -> Any:
    """Accuracy after each task (rows) on every task (columns); above the diagonal it is to come."""
    values = numbers(evaluation["more"]["matrix"])
    tasks = len(values)
    canvas = make_canvas(5.2, 4.4)
    axes = canvas.add_subplot()
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis")
    canvas.colorbar(image, ax=axes, label="accuracy")
    places = np.arange(tasks)
    names = [str(place + 1) for place in places]
    axes.set_xticks(places, names)
    axes.set_yticks(places, names)
    axes.set(xlabel="on task", ylabel="after task")
    if tasks <= 10:
        for row in places:
            for column in places:
                value = values[row, column]
                color = "white" if value < 0.6 else "black"
                text = said(100 * value, ".0f")
                axes.text(float(column), float(row), text, ha="center", va="center", color=color)
    return canvas
