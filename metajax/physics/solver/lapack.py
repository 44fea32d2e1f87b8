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
      rows: of which columns are combined.
      targets: what the combination should give.
      ridge: relative to the length of a column.

    Returns:
      The weights, with the factor of the columns.
    """
    stacked = room_for(*rows.shape)
    stacked[: len(rows), :-1], stacked[: len(rows), -1] = rows, targets
    return solve_stacked(stacked, ridge)


def room_for(rows: int, num: int) -> Float[np.ndarray, "more columns"]:
    """Return where :func:`solve_stacked` reads rows and targets; 0 below these.

    Args:
      rows: how many there will be.
      num: columns that are combined.
    """
    room = np.empty((max(rows, num + 1), num + 1), order="F")
    room[rows:] = 0
    return room


def solve_stacked(stacked: Float[np.ndarray, "more columns"], ridge: float = RIDGE) -> HostHead:
    """Combine columns so that they are nearest to the last one.

    Args:
      stacked: by :func:`room_for`, with the targets as its last column; overwritten.
      ridge: relative to the length of a column.

    Returns:
      The weights, with the factor of the columns.
    """
    num = stacked.shape[1] - 1
    columns = stacked[:, :num]
    length = np.sqrt(np.einsum("ij,ij->j", columns, columns))
    length = np.where(length > 0, length, 1.0)
    columns /= length
    raw, _, _ = lapack.dgeqrt(min(BLOCK, num + 1), stacked, overwrite_a=True)
    # below it the ridge, and no target; its rows stay triangular while they are eliminated
    below = np.asfortranarray(np.diag(np.append(np.full(num, ridge), 0.0)))
    top = np.asfortranarray(raw[: num + 1])
    factor, *_ = lapack.dtpqrt(num + 1, min(NARROW, num + 1), top, below, overwrite_a=True)
    factor, image = np.triu(factor[:num, :num]), factor[:num, num]
    head = linalg.solve_triangular(factor, image, check_finite=False)
    return HostHead(head / length, factor, length)
