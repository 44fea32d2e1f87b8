"""The table and the figures of a stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from metajax.systems.axes import legend_outside, make_canvas
from metajax.systems.numbers import numbers, said
from metajax.systems.show import Figure, captioned, first_row, score_figure, told


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by round, and that on clean images afterwards."""
    more = evaluation["more"]
    called = titles(evaluation)
    lines = ["Accuracy on clean images after the stream:"]
    lines += [f"  {called[name]} {said(value, '.3f')}" for name, value in more["clean"].items()]
    if "kept_bytes" in more:
        lines.append(f"A step keeps {more['kept_bytes']:,} bytes of activations for its gradient.")
    images = first_row(evaluation)["n"]
    lines.append(f"Intervals of 95% are over the {images} images of a round.")
    return told(evaluation, ".", lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by round, the stream itself, and the kinds of shift."""
    caption = "Accuracy by round, predicted before each update, with 95% intervals over images."
    along = score_figure(evaluation, caption)
    return [along, captioned(stream, evaluation), captioned(kinds, evaluation)]


def titles(evaluation: dict[str, Any]) -> dict[str, str]:
    """Return what the predictors of all rows are called: the method by its name."""
    found = {name: row["title"] for name, row in evaluation["rows"].items()}
    return found | {"stream": evaluation["method"]}


def stream(evaluation: dict[str, Any]) -> Any:
    """Accuracy by batch of the stream, before the update of the same batch; lines begin rounds."""
    values = numbers(evaluation["more"]["before_update"])
    rounds = len(values)
    canvas = make_canvas(7, 3.4)
    axes = canvas.add_subplot()
    along = np.arange(values.size)
    axes.plot(along, values.reshape(-1), lw=0.8)
    for place in range(1, rounds):
        axes.axvline(place * values[0].size, color="gray", lw=0.6)
    axes.set(xlabel="batches", ylabel="accuracy", ylim=(0, 1))
    return canvas


def kinds(evaluation: dict[str, Any]) -> Any:
    """Accuracy by kind of shift in the last round, compared with the baselines."""
    more, called = evaluation["more"], titles(evaluation)
    canvas = make_canvas(7, 3.4)
    axes = canvas.add_subplot()
    places = np.arange(len(more["kinds"]))
    for index, (name, values) in enumerate(more["by_kind"].items()):
        axes.bar(places + (index - 1) * 0.27, numbers(values)[-1], 0.27, label=called[name])
    axes.set_xticks(places, more["kinds"], rotation=30)
    axes.set(ylabel="accuracy", ylim=(0, 1))
    legend_outside(canvas, axes)
    return canvas
