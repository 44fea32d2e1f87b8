"""What is told of queries that have been answered: lines, columns and a figure."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from metajax.using.adapted import Adapted
from metajax.using.files import numbered
from metajax.using.labels import Labels

SHOWN = 24
"""Queries that a figure shows, at most."""


class Told(NamedTuple):
    """What ``metajax predict`` tells of a person's file.

    Attributes:
      lines: what is printed.
      columns: what is written, a CSV column each.
      draw: ``draw() -> matplotlib.figure.Figure``.
      adapted: ``adapted() -> Adapted``, what is exported; None where there is no program.
    """

    lines: list[str]
    columns: Mapping[str, Any]
    draw: Callable[[], Any]
    adapted: Callable[[], Adapted] | None


def tell_labels(
    found: Labels,
    queries: np.ndarray,
    line: str,
    adapted: Callable[[], Adapted],
    *,
    names: Sequence[str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Told:
    """Return what is told of queries whose classes have been predicted.

    Args:
      found: the answers.
      queries: images, or something else that is not drawn.
      line: what is printed.
      adapted: see :class:`Told`.
      names: of the queries; by default their numbers.
      more: other columns, which stand before the probabilities.

    Examples:
      >>> import numpy as np
      >>> from metajax import using
      >>> found = using.label(np.array(["cat", "dog"]), np.array([[0.25, 0.75]]))
      >>> told = using.tell_labels(found, np.zeros((1, 8, 8)), "1 query", None)
      >>> for name, column in told.columns.items():
      ...     print(name, *column)
      query 0
      predicted dog
      p(cat) 0.2500
      p(dog) 0.7500
    """
    names = numbered(queries) if names is None else names
    columns = {"query": names, "predicted": found.labels, **(more or {})}
    for place, name in enumerate(found.classes):
        columns[f"p({name})"] = [f"{share:.4f}" for share in found.probabilities[:, place]]
    return Told([line], columns, functools.partial(draw_labels, found, queries, names), adapted)


def draw_labels(found: Labels, queries: np.ndarray, names: Sequence[str]) -> Any:
    """Draw the probabilities of the first queries, with their images where they are images.

    Args:
      found: the answers.
      queries: as they were asked.
      names: of the queries.

    Returns:
      A ``matplotlib.figure.Figure``.
    """
    from matplotlib.figure import Figure

    shown = min(len(found.labels), SHOWN)
    images = queries.ndim > 2
    height = 0.45 if images else 0.28
    canvas = Figure(figsize=(7.5, 1.2 + height * shown), layout="constrained")
    columns = canvas.subplots(1, 2, width_ratios=(1, 5)) if images else [canvas.subplots()]
    axes = columns[-1]
    axes.imshow(found.probabilities[:shown], cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(shown, len(found.classes)):
        share = found.probabilities[row, column]
        color = "white" if share > 0.5 else "black"
        axes.text(column, row, f"{share:.2f}", ha="center", va="center", color=color, fontsize=7)
    axes.set_xticks(range(len(found.classes)), found.classes, rotation=45, ha="right")
    axes.set_yticks(range(shown), names[:shown], fontsize=7)
    axes.set_title(f"probabilities of the first {shown} of {len(found.labels)} queries")
    if images:
        columns[0].axis("off")
        # an image next to each row of probabilities
        stacked = np.concatenate(queries[:shown]).squeeze()
        columns[0].imshow(stacked, cmap="gray", aspect="auto")
        for row in range(1, shown):
            columns[0].axhline(row * queries.shape[1] - 0.5, color="white", linewidth=1.5)
    return canvas
