"""What an evaluation returns, and the one place where a mean and its 95% interval are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float


class Interval(NamedTuple):
    """Means with 95% intervals, each a list along the evaluation's axis.

    Attributes:
      mean: the means.
      low: the lower ends of their intervals.
      high: the upper ends.
      n: how many tasks are behind each.
    """

    mean: list[float]
    low: list[float]
    high: list[float]
    n: int

    def last(self) -> dict[str, float]:
        """Return the last mean and the half-width of its interval, as evaluators log them."""
        return {"last": self.mean[-1], "last_ci95": (self.high[-1] - self.low[-1]) / 2}


def interval(values: Float[Array | np.ndarray, "tasks *points"]) -> Interval:
    """Return the mean over tasks with its normal 95% interval, ``1.96`` standard errors.

    Args:
      values: scores of tasks.

    Examples:
      >>> import numpy as np
      >>> from metajax.systems import interval
      >>> found = interval(np.array([0.0, 1.0, 1.0, 0.0]))
      >>> found.mean, found.n
      ([0.5], 4)
    """
    array = np.asarray(values, float)
    return around(array.mean(axis=0), mean_half_width(array), len(array))


def mean_half_width(values: Float[np.ndarray, "tasks *points"]) -> Float[np.ndarray, "*points"]:
    """Return the half-width of the 95% interval of a mean over tasks, ``1.96`` standard errors."""
    return 1.96 * values.std(axis=0, ddof=1) / np.sqrt(len(values))


def share_half_width(share: Float[np.ndarray, "*points"], n: int) -> Float[np.ndarray, "*points"]:
    """Return the half-width of the normal 95% interval of a share, as an accuracy.

    Args:
      share: from 0 to 1.
      n: how many examples are behind each.
    """
    return 1.96 * np.sqrt(share * (1 - share) / n)


def around(mean: Float[np.ndarray, "*p"], half: Float[np.ndarray, "*p"], n: int) -> Interval:
    """Return means by point with the half-widths of their intervals, of ``n`` tasks or images."""
    mean, half = np.atleast_1d(mean), np.atleast_1d(half)
    return Interval(mean.tolist(), (mean - half).tolist(), (mean + half).tolist(), n)


class Row(NamedTuple):
    """One line of an evaluation: a learner, or a baseline, on some tasks.

    Attributes:
      title: in words, for tables and legends.
      score: by point of the axis; a single point for what does not move along it.
      baseline: whether it needs no meta-training.
      compared_with: of a baseline, the row that is scored on the same tasks, by name; empty: the
        first. None: no row is compared with it, as it has seen more data or is a trained run.
    """

    title: str
    score: Interval
    baseline: bool = False
    compared_with: str | None = ""

    def to_json(self, first: str) -> dict[str, Any]:
        """Return it as ``eval.json`` holds it.

        Args:
          first: the first row of the evaluation, by name.
        """
        own = first if self.compared_with == "" else self.compared_with
        return {
            "title": self.title,
            **self.score._asdict(),
            "baseline": self.baseline,
            "compared_with": own if self.baseline else None,
        }


def chance_row(chances: Sequence[float], n: int) -> Row:
    """Return the baseline of guessing.

    Args:
      chances: of a right guess, by point of the axis.
      n: how many tasks are behind the other rows.
    """
    chances = list(chances)
    return Row("chance", Interval(chances, chances, chances, n), baseline=True)


class Evaluation(NamedTuple):
    """What is measured of a trained method: the content of ``eval.json``.

    Attributes:
      rows: by name; the first is the trained method on new tasks, which runs are compared by.
      metric: what the scores are, as ``accuracy``.
      greatest: whether more of it is better.
      axis: what the points of a row lie along, as ``gradient steps``; empty: each has one score.
      points: where on the axis they lie.
      setting: the tasks in a few words; empty: as the problem's ``setting()`` says.
      more: further measurements of this family, JSON values by name.
    """

    rows: Mapping[str, Row]
    metric: str = "accuracy"
    greatest: bool = True
    axis: str = ""
    points: Sequence[float] = (0.0,)
    setting: str = ""
    more: Mapping[str, Any] = {}

    def to_json(self) -> dict[str, Any]:
        """Return it as ``eval.json`` holds it."""
        first = next(iter(self.rows))
        rows = {name: row.to_json(first) for name, row in self.rows.items()}
        more = {"points": list(self.points), "more": dict(self.more)}
        return {**self._asdict(), "rows": rows, **more}
