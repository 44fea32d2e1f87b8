"""Where a trained method stands: compared with the best baseline of the same evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from metajax.systems.numbers import score_at, with_interval


class Standing(NamedTuple):
    """By how much a method is better than a baseline; below 0 where the baseline is better.

    Attributes:
      baseline: the title of the baseline.
      lead: how much better the method is, with the sign that says so for errors too.
      low: the lower end of the lead's 95% interval.
      high: the upper end.
    """

    baseline: str
    lead: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """``worse`` or ``better`` where the interval excludes 0, and ``level`` where it does not.

        Examples:
          >>> from metajax.systems import Standing
          >>> Standing("nearest mean", -0.03, -0.04, -0.02).verdict
          'worse'
        """
        return "worse" if self.high < 0 else "better" if self.low > 0 else "level"


def lead(own: Mapping[str, Any], other: Mapping[str, Any], greatest: bool) -> Standing:
    """Return how much better one row is than another at the last point, with a 95% interval.

    The interval takes the two rows as independent, so it is wider than a paired one. Each end is
    as far from the lead as the root of the two rows' squared distances from their own ends (Zou and
    Donner 2008, 10.1002/sim.3095).

    Args:
      own: the row of the method: ``mean``, ``low`` and ``high`` along the axis.
      other: that of the baseline, with its ``title``.
      greatest: whether more is better.
    """
    mean, low, high = score_at(own)
    theirs, their_low, their_high = score_at(other)
    gap = mean - theirs
    ends = (
        gap - math.hypot(mean - low, their_high - theirs),
        gap + math.hypot(high - mean, theirs - their_low),
    )
    if greatest:
        return Standing(other["title"], gap, *ends)
    return Standing(other["title"], -gap, -ends[1], -ends[0])


def rivals(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of those baselines that the first row is compared with.

    Rows of older versions do not say it: of them there are none.

    Args:
      rows: of an evaluation, by name; the first is the trained method.

    Examples:
      >>> from metajax.systems import rivals
      >>> rows = {"test": {"compared_with": None}, "unseen": {"compared_with": None}}
      >>> rows |= {"chance": {"compared_with": "test"}, "lda": {"compared_with": "unseen"}}
      >>> rivals(rows)
      ['chance']
    """
    first = next(iter(rows))
    return [name for name, row in rows.items() if row.get("compared_with") == first]


def standing(rows: Mapping[str, Mapping[str, Any]], greatest: bool) -> Standing | None:
    """Return how much better the first row is than the best baseline on the same tasks.

    Args:
      rows: of an evaluation, by name; the first is the trained method.
      greatest: whether more is better.

    Returns:
      None where there is no such baseline, or a score is not finite.
    """
    own = next(iter(rows.values()))
    found = [lead(own, rows[name], greatest) for name in rivals(rows)]
    known = [one for one in found if math.isfinite(one.lead)]
    return min(known, key=lambda one: one.lead, default=None)


def said_below(evaluation: Mapping[str, Any]) -> str:
    """Return the sentence that a baseline is better than the trained method; empty if none is.

    Args:
      evaluation: the content of ``eval.json``.
    """
    if "greatest" not in evaluation:  # evaluations of older versions have no rows either
        return ""
    found = standing(evaluation["rows"], evaluation["greatest"])
    if found is None or found.verdict != "worse":
        return ""
    return (
        f"A baseline that needs no meta-training is better: {found.baseline}, by {margin(found)}."
    )


def margin(found: Standing) -> str:
    """Return by how much a baseline is better, with its interval, as text: ``0.066 ±0.014``."""
    return with_interval(-found.lead, -found.high, -found.low)
