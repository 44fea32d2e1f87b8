"""Regression on small tables by many kernel ridges, weighed by how they predict left-out rows.

The kernels are of the kinds that the reader of classes solves. Nothing is trained or searched: one
eigendecomposition of each kernel gives all strengths of its ridge, every row's prediction from the
others, and how sure these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.learners.table_parts import BENDS, FAR

RIDGES = np.logspace(-2.5, 1.5, 9)
"""Strengths of the ridge that every kernel is tried with."""
REACHES: tuple[tuple[int, float | None], ...] = (
    (0, None),
    (0, 1.0),
    (0, 2.0),
    (0, 8.0),
    (1, None),
    (1, 2.0),
    (1, 8.0),
)
"""Kernels: of features (0) or of smooth steps of each (1); linear (None) or Gaussian, with its
reach in units of the mean square norm."""
TEMPER = 0.5
"""What a nat of left-out log density counts in a weight: the rows' predictions share their data."""
LEAST_SHARE = 1e-3
"""Solutions with a smaller weight are left out."""
_LEAST = 1e-12  # of a mean square that is divided by


def views_of(
    rows: Float[np.ndarray, "rows features"],
) -> tuple[Float[np.ndarray, "rows features"], Float[np.ndarray, "rows more"]]:
    """Return squashed features, and smooth steps of each: :func:`view_of`, on the host."""
    plain = FAR * np.tanh(rows / FAR)
    bends = np.asarray(BENDS)
    bent = np.tanh(2 * (plain[..., None] - bends)) + np.tanh(2 * bends)
    return plain, bent.reshape(len(rows), -1)


def kernel_between(
    left: Float[np.ndarray, "left features"],
    right: Float[np.ndarray, "right features"],
    scale: float,
    reach: float | None,
) -> Float[np.ndarray, "left right"]:
    """Return 1 + a linear or Gaussian kernel of two lists of rows."""
    products = left @ right.T / scale
    if reach is None:
        return 1 + products
    squares = [np.sum(side**2, axis=1) / scale for side in (left, right)]
    distances = np.maximum(squares[0][:, None] + squares[1] - 2 * products, 0)
    return 1 + np.exp(-distances / reach)


class LeftOut(NamedTuple):
    """What all rows but one say of it, for each strength of a ridge.

    Attributes:
      errors: of the predictions.
      variances: of them, the noise included, in units of ``scales``.
      scales: variance of the process, by which the errors are as large as they should be.
      densities: logarithm of the predictive density of all targets together.
      inverse: of the kernel's eigenvalues plus the ridges.
      weights: of predictions from all rows, in the eigenvectors.
    """

    errors: Float[np.ndarray, "rows ridges"]
    variances: Float[np.ndarray, "rows ridges"]
    scales: Float[np.ndarray, " ridges"]
    densities: Float[np.ndarray, " ridges"]
    inverse: Float[np.ndarray, "rows ridges"]
    weights: Float[np.ndarray, "rows ridges"]


def left_out(
    values: Float[np.ndarray, " rows"],
    vectors: Float[np.ndarray, "rows rows"],
    targets: Float[np.ndarray, " rows"],
    ridges: Float[np.ndarray, " ridges"],
) -> LeftOut:
    """Predict every row from the others, with each ridge (Sundararajan and Keerthi 2001).

    Args:
      values: eigenvalues of the kernel.
      vectors: its eigenvectors.
      targets: of the rows.
      ridges: strengths.
    """
    inverse = 1 / (values[:, None] + ridges)
    precision = vectors**2 @ inverse
    weights = (vectors.T @ targets)[:, None] * inverse
    errors = vectors @ weights / precision
    variances = 1 / precision
    scales = np.maximum(np.mean(errors**2 / variances, axis=0), _LEAST)
    spread = scales * variances
    densities = -0.5 * np.sum(np.log(2 * np.pi * spread) + errors**2 / spread, axis=0)
    return LeftOut(errors, variances, scales, densities, inverse, weights)


class Solved(NamedTuple):
    """One kernel, with those of its ridges that count.

    Attributes:
      view: the rows as the kernel sees them.
      which: place of the view among :func:`views_of`.
      scale: mean square norm of the view.
      reach: of the kernel.
      vectors: its eigenvectors.
      inverse: of eigenvalues plus ridges.
      weights: of predictions, in the eigenvectors.
      ridges: their strengths.
      scales: variance of the process for each.
      shares: of each in the mixture.
    """

    view: Float[np.ndarray, "rows features"]
    which: int
    scale: float
    reach: float | None
    vectors: Float[np.ndarray, "rows rows"]
    inverse: Float[np.ndarray, "rows ridges"]
    weights: Float[np.ndarray, "rows ridges"]
    ridges: Float[np.ndarray, " ridges"]
    scales: Float[np.ndarray, " ridges"]
    shares: Float[np.ndarray, " ridges"]


def solve_mixture(
    rows: Float[np.ndarray, "rows features"], targets: Float[np.ndarray, " rows"]
) -> list[Solved]:
    """Solve all kernels with all ridges and keep those that count.

    A solution's weight grows with the log density of left-out targets (pseudo-BMA weights: Yao et
    al. 2018, Bayesian Analysis 13(3)).

    Args:
      rows: standardized.
      targets: standardized.

    Returns:
      The kernels that are left, their shares 1 in sum.
    """
    views = views_of(rows)
    found: list[Solved] = []
    densities = []
    for which, reach in REACHES:
        view = views[which]
        scale = max(float(np.mean(np.sum(view**2, axis=1))), _LEAST)
        values, vectors = np.linalg.eigh(kernel_between(view, view, scale, reach))
        values = np.maximum(values, 0)  # rounding
        known = left_out(values, vectors, targets, RIDGES)
        solutions = (known.inverse, known.weights, RIDGES, known.scales)
        found.append(Solved(view, which, scale, reach, vectors, *solutions, RIDGES))
        densities.append(known.densities)
    shares = np.exp(TEMPER * (np.array(densities) - np.max(densities)))
    shares /= shares.sum()
    kept = shares > LEAST_SHARE
    shares /= shares[kept].sum()
    return [
        one._replace(
            inverse=one.inverse[:, here],
            weights=one.weights[:, here],
            ridges=one.ridges[here],
            scales=one.scales[here],
            shares=share[here],
        )
        for one, share, here in zip(found, shares, kept, strict=True)
        if here.any()
    ]


def predict_mixture(
    solved: Sequence[Solved], rows: Float[np.ndarray, "queries features"]
) -> tuple[Float[np.ndarray, " queries"], Float[np.ndarray, " queries"]]:
    """Return the mean and the variance of the mixture's prediction of each row's target.

    Args:
      solved: of :func:`solve_mixture`.
      rows: standardized as those were.

    Returns:
      Means, and variances with the noise of a target and the spread of the mixture's means.
    """
    views = views_of(rows)
    means, variances, shares = [], [], []
    for one in solved:
        view = views[one.which]
        turned = kernel_between(view, one.view, one.scale, one.reach) @ one.vectors
        own = np.full(len(rows), 2.0)
        if one.reach is None:
            own = 1 + np.sum(view**2, axis=1) / one.scale
        means.append(turned @ one.weights)
        left = np.maximum(own[:, None] - turned**2 @ one.inverse, 0)
        variances.append(one.scales * (left + one.ridges))
        shares.append(one.shares)
    mean, share = np.concatenate(means, axis=1), np.concatenate(shares)
    mixed = mean @ share
    apart = (mean - mixed[:, None]) ** 2
    return mixed, (np.concatenate(variances, axis=1) + apart) @ share
