"""Numbers of an evaluation or a log, of which JSON holds those that are not finite as null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

LONGEST = 10
"""Characters of a table's number; one that needs more is written by its power of ten."""


def numbers(values: Any) -> Float[np.ndarray, "..."]:
    """Return nested lists of numbers as an array, None as NaN, where figures draw a gap."""
    return np.array(values, float)


def said(value: float | None, spec: str) -> str:
    """Return a number by its format ``spec``, or ``non-finite``."""
    number = math.nan if value is None else float(value)
    return format(number, spec) if math.isfinite(number) else "non-finite"


def cell(value: float | None, spec: str) -> str:
    """Return a number as a table shows it: by ``spec``, or to three digits where that is long."""
    text = said(value, spec)
    return text if value is None or len(text) <= LONGEST else said(value, ".2e")


def score_at(row: Mapping[str, Any], place: int = -1) -> tuple[float, float, float]:
    """Return the mean of a row at a point of its axis, and the ends of its interval.

    Args:
      row: of an evaluation.
      place: of the score along the axis; the last by default.
    """
    mean, low, high = (float(numbers(row[end][place])) for end in ("mean", "low", "high"))
    return mean, low, high


def with_interval(mean: float, low: float, high: float) -> str:
    """Return a mean with its interval, to two digits of its half width: ``0.066 ±0.014``.

    Of the mean there are three digits or more. Both ends are written where they are not as far
    from it.

    Args:
      mean: the mean.
      low: the lower end of its interval.
      high: the upper end.
    """
    if not all(map(math.isfinite, (mean, low, high))):
        return "non-finite"
    half = max(high - mean, mean - low)
    if half <= 0:
        return f"{mean:.4g} ±0"
    digits = 1 - math.floor(math.log10(half))
    if mean != 0:
        digits = max(digits, 2 - math.floor(math.log10(abs(mean))))
    if digits > 5 or abs(mean) >= 1e6:
        return _ends(f"{mean:.3e}", f"{half:.1e}", mean, low, high, ".3e")
    spec = f".{max(digits, 0)}f"
    return _ends(format(mean, spec), format(half, spec), mean, low, high, spec)


def _ends(mean_text: str, half_text: str, mean: float, low: float, high: float, spec: str) -> str:
    """A mean and half its interval, or both ends where they are not as far from it."""
    if math.isclose(high - mean, mean - low, rel_tol=0.05):
        return f"{mean_text} ±{half_text}"
    return f"{mean_text} [{low:{spec}}, {high:{spec}}]"


def with_half(row: Mapping[str, Any], spec: str = ".3f") -> str:
    """Return the last score of a row with the half-width of its interval: ``0.210 ±0.020``.

    Args:
      row: of an evaluation.
      spec: the format of a number.
    """
    mean, low, high = score_at(row)
    return f"{said(mean, spec)} ±{said((high - low) / 2, spec)}"


def with_ends(row: Mapping[str, Any], spec: str, place: int = -1) -> str:
    """Return a score of a row with its interval: ``0.21 [0.19, 0.23]``.

    Args:
      row: of an evaluation.
      spec: the format of a number.
      place: of the score along the axis; the last by default.
    """
    mean, low, high = (said(value, spec) for value in score_at(row, place))
    return f"{mean} [{low}, {high}]"


def half_widths(row: Mapping[str, Any]) -> Float[np.ndarray, " points"]:
    """Return the half-widths of a row's intervals.

    Args:
      row: of an evaluation.
    """
    return (numbers(row["high"]) - numbers(row["low"])) / 2


def aligned(
    rows: Sequence[Sequence[str]], first: int = 0, least: int = 0, right: bool = False
) -> list[str]:
    """Return a table's lines, column under column, with a rule below its head.

    Args:
      rows: the head and the rows, of as many cells each.
      first: the least width of the first column.
      least: the least width of the others.
      right: whether the first column is aligned at its right too.
    """
    columns = list(zip(*rows, strict=True))
    start = max(first, *map(len, columns[0]))
    widths = [max(least, 2 + max(map(len, column))) for column in columns[1:]]
    lines = [
        f"{name:{'>' if right else '<'}{start}}"
        + "".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True))
        for name, *words in rows
    ]
    return [lines[0].rstrip(), "-" * len(lines[0]), *(line.rstrip() for line in lines[1:])]
