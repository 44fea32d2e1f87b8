"""Estimate a solution's error from its residual at fresh points and the sensitivity of u."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from metajax.physics.solver.fitting import misses, rms, values_of
from metajax.physics.solver.lapack import HostHead
from metajax.physics.solver.operators import Block, Operator
from metajax.physics.solver.ridge_functions import FeatureSet

ROUNDED = 1e-10
"""Size of a solution, in units, that counts as 0: data are of size 1, unless they are 0."""
BELIEVED = 0.01
"""Least estimate by rounds, as a share of the estimate by residuals."""
PROBED = 64
"""Points at which the sensitivity is computed."""


class Residual(NamedTuple):
    """Residual of a solution in a block's equations.

    Attributes:
      name: of the block.
      points: in units, those of its first part.
      off: by how much each equation is missed.
      size: the sum of the sizes of the terms, to compare with.
      weight: of the block.
    """

    name: str
    points: Float[np.ndarray, "n d"]
    off: Float[np.ndarray, " n"]
    size: Float[np.ndarray, " n"]
    weight: float

    @property
    def share(self) -> float:
        """The root mean square of the residual, over that of the terms."""
        size = rms(self.size)
        return rms(self.off) / size if size > 0 else 0.0 if not rms(self.off) else np.inf


class Estimate(NamedTuple):
    """How wrong a solution may be, at points inside.

    Attributes:
      points: in units.
      u: the solution there.
      relative: the estimated root mean square of the error, over that of u.
      by_residual: the same, from the residual at fresh points times the sensitivity.
      by_rounds: the same, from the difference to the previous solution; NaN where there is none.
      sensitivity: the most that u may change anywhere for a change of equation and data by 1.
      free: how u changes at the points where equation and data change least, of largest size 1.
    """

    points: Float[np.ndarray, "n d"]
    u: Float[np.ndarray, " n"]
    relative: float
    by_residual: float
    by_rounds: float
    sensitivity: float
    free: Float[np.ndarray, " n"]


def trimmed(values: np.ndarray) -> float:
    """Return the root mean square of values without the largest 2% of them.

    The residual at the points nearest to a corner may be many times that elsewhere. Whether such
    points were drawn says little about the solution.

    Args:
      values: any number of them.
    """
    squared = np.sort(np.square(values))
    return rms(np.sqrt(squared[: len(squared) - len(squared) // 50]))


def residuals(
    blocks: Sequence[Block], features: FeatureSet, weights: np.ndarray
) -> tuple[Residual, ...]:
    """Compute a solution's residuals in its equations at points.

    Equations inside are compared with their terms at each point. Data on the boundary are compared
    with the overall size of u and its slopes. So a small error where the data are 0 counts as
    small.

    Args:
      blocks: at points that were not fitted; the first is the equation.
      features: of the solution.
      weights: of the features.
    """
    found: list[Residual] = []
    for block in blocks:
        values = values_of(block, features, weights)
        off, size = misses(block, values)
        if not found:
            whole, steep = rms(values[0].u), np.sqrt(np.mean(values[0].gradient ** 2, 0))
        else:
            size = np.abs(block.target)
            for part in block.parts:
                value, slope, _ = part.operator
                size = size + (0.0 if value is None else np.abs(value) * whole)
                size = size + (0.0 if slope is None else np.abs(slope) @ steep)
        found.append(Residual(block.name, block.parts[0].points, off, size, block.weight))
    return tuple(found)


def weighted(left: Sequence[Residual]) -> float:
    """Return the objective of the solve, the root of its sum of squares, at fresh points.

    Args:
      left: of all blocks.
    """
    return float(np.sqrt(sum((one.weight * rms(one.off)) ** 2 for one in left)))


def estimate(
    points: Float[np.ndarray, "n d"],
    features: FeatureSet,
    head: HostHead,
    left: Sequence[Residual],
    before: tuple[FeatureSet, np.ndarray] | None = None,
) -> Estimate:
    """Estimate the error of a solution.

    The estimate is the geometric mean of two numbers. The first is the residual at points that were
    not fitted, times the sensitivity. The sensitivity is the largest change of u over all
    combinations of the features that change equations and data by a root mean square of 1. The
    second is the difference from the previous solution, which is about the error of that one. Both
    are usually too large: the first is a worst case, and the second belongs to a less accurate
    solution.

    Args:
      points: inside, in units.
      features: of the solution.
      head: of :func:`host_least_squares`, for a nonlinear problem that of the last step's rows.
      left: the residuals at points that were not fitted.
      before: another solution, with fewer or other features: they and their weights.
    """
    one = Operator(np.ones(len(points)))
    values = features(points, one)
    u = values @ head.weights
    few = slice(None, None, max(len(points) // PROBED, 1))
    change = linalg.solve_triangular(
        head.factor, (values[few] / head.length).T, trans="T", check_finite=False
    ).T
    shape, sizes, _ = linalg.svd(change, full_matrices=False, check_finite=False)
    free = shape[:, 0] / np.abs(shape[:, 0]).max()
    size = max(rms(u), ROUNDED)
    # the change of all points together is less than all of their own largest ones
    by_residual = sizes[0] / np.sqrt(len(shape)) * weighted(left) / size
    by_rounds = np.nan
    if before is not None:
        by_rounds = rms(u - before[0](points, one) @ before[1]) / size
    relative = by_residual
    if before is not None:
        # two solutions may be alike and both wrong
        relative = float(np.sqrt(by_residual * max(by_rounds, by_residual * BELIEVED)))
    most = float(np.linalg.norm(change, axis=1).max())
    return Estimate(points[few], u[few], relative, by_residual, by_rounds, most, free)


def error_field(
    u: Float[np.ndarray, "*nodes"], before: Float[np.ndarray, "*nodes"], relative: float
) -> Float[np.ndarray, "*nodes"]:
    """Return the estimated error of a solution at the nodes of a picture.

    It lies where the solution differs from the one before, and its root mean square is the
    estimate's number.

    Args:
      u: the solution at nodes; NaN where there is none.
      before: the one before, at the same nodes.
      relative: the estimated error of the solution, over the size of u.
    """
    known = np.isfinite(u)
    size = relative * rms(u[known])
    apart = np.abs(u - before)
    return apart * (size / max(rms(apart[known]), np.finfo(float).tiny))
