"""The report on unseen domains: a table, and the accuracy by the turn of a domain."""

from __future__ import annotations

from typing import Any

from metajax.systems.axes import legend_outside, make_axes, style
from metajax.systems.domains.evaluate import TITLES
from metajax.systems.numbers import numbers, with_half
from metajax.systems.show import Figure, captioned
from metajax.systems.show import figures as shared_figures
from metajax.systems.show import table as shared_table

DIFFERENCES = {
    "gain": "Adapting gains",
    "own_over_opposite": "Its own images are ahead of those of the opposite domain by",
}
"""Differences of an evaluation, in words."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracies, and what the images of a domain gain."""
    more = evaluation["more"]
    gains = (
        f"{DIFFERENCES[name]} {with_half(more[name])}." for name in DIFFERENCES if name in more
    )
    return shared_table(evaluation, over="target domains", lines=gains)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracies, their change along training, and by turn."""
    return [captioned(by_turn, evaluation), *shared_figures(evaluation, history)]


def by_turn(evaluation: dict[str, Any]) -> Any:
    """Accuracy on each target domain, by the angle that its images are turned by."""
    more = evaluation["more"]
    canvas, axes = make_axes("turn of the images, degrees", "accuracy", "linear")
    # in the order of the rows, so that a row has one color in all figures
    names = [name for name in TITLES if name in more["by_domain"]]
    for index, name in enumerate(names):
        values = numbers(more["by_domain"][name])
        axes.plot(numbers(more["turns"]), values, label=TITLES[name], **style(index))
    legend_outside(canvas, axes)
    return canvas
