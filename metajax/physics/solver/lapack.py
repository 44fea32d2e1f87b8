"""Least squares on the host, in float64, by LAPACK without ever forming Q."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

RIDGE = 1e-13
"""Added below the columns of length 1: features are nearly dependent on every problem."""


class HostHead(NamedTuple):
    """The best combination of features.

    Attributes:
      weights: of the features.
      factor: upper triangular R: what equations and data leave, over weights ``w``, is
        ``|R (length w)|``, up to what no weights can remove.
      length: of the columns.
    """

    weights: Float[np.ndarray, " num"]
    factor: Float[np.ndarray, "num num"]
    length: Float[np.ndarray, " num"]


def host_least_squares(
    rows: Float[np.ndarray, "rows num"], targets: Float[np.ndarray, " rows"], ridge: float = RIDGE
) -> HostHead:
    """Combine columns so that they are nearest to the targets.

    Args:
      rows: of which columns are combined; overwritten.
      targets: what the combination should give.
      ridge: relative to the length of a column.

    Returns:
      The weights, with the factor of the columns.
    """
    num = rows.shape[1]
    length = np.linalg.norm(rows, axis=0)
    length = np.where(length > 0, length, 1.0)
    stacked = np.zeros((len(rows) + num, num + 1), order="F")
    np.divide(rows, length, out=stacked[: len(rows), :num])
    stacked[: len(rows), num] = targets
    stacked[len(rows) + np.arange(num), np.arange(num)] = ridge
    (raw, _), _ = linalg.qr(stacked, mode="raw", overwrite_a=True, check_finite=False)
    factor = np.triu(raw[:num, :num])
    head = linalg.solve_triangular(factor, raw[:num, num], check_finite=False)
    return HostHead(head / length, factor, length)
