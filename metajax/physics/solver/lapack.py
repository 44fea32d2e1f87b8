"""Least squares on the host, in float64, by LAPACK without ever forming Q."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg
from scipy.linalg import lapack

RIDGE = 1e-13
"""Added below the columns of length 1: features are nearly dependent on every problem."""
BLOCK, NARROW = 128, 32
"""Columns that are eliminated at a time, with the rows and with the ridge: with few of them a core
waits for its memory."""


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
    length = np.sqrt(np.einsum("ij,ij->j", rows, rows))
    length = np.where(length > 0, length, 1.0)
    stacked = np.zeros((max(len(rows), num + 1), num + 1), order="F")
    np.divide(rows, length, out=stacked[: len(rows), :num])
    stacked[: len(rows), num] = targets
    raw, _, _ = lapack.dgeqrt(min(BLOCK, num + 1), stacked, overwrite_a=True)
    # below it the ridge, and no target; its rows stay triangular while they are eliminated
    below = np.asfortranarray(np.diag(np.append(np.full(num, ridge), 0.0)))
    top = np.asfortranarray(raw[: num + 1])
    factor, *_ = lapack.dtpqrt(num + 1, min(NARROW, num + 1), top, below, overwrite_a=True)
    factor, image = np.triu(factor[:num, :num]), factor[:num, num]
    head = linalg.solve_triangular(factor, image, check_finite=False)
    return HostHead(head / length, factor, length)
