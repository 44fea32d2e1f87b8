"""Numbers of an evaluation or a log, of which JSON holds those that are not finite as null."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float


def numbers(values: Any) -> Float[np.ndarray, "..."]:
    """Return nested lists of numbers as an array, None as NaN, where figures draw a gap."""
    return np.array(values, float)


def said(value: float | None, spec: str) -> str:
    """Return a number by its format ``spec``, or ``non-finite``."""
    number = math.nan if value is None else float(value)
    return format(number, spec) if math.isfinite(number) else "non-finite"


def cell(value: float | None, spec: str, width: int) -> str:
    """Return a table's cell of ``width`` characters or more, the first of them a blank."""
    return f" {said(value, spec):>{width - 1}}"
