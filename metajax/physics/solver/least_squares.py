"""Linear problems by least squares: the best combination of given features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, register_dataclass
from metajax.nn import Jet, factored_least_squares, triangular_solve
from metajax.nn.jets import chain
from metajax.physics.pde import Points, apply_operator, normal_derivative

Features = Callable[[Float[Array, "n 2"]], Jet]
"""``features(points [n, 2]) -> Jet`` of ``[n, num]``."""
BOUNDARY_WEIGHT = 10.0
"""Weight of boundary data, relative to the equation."""


@register_dataclass
@dataclass(frozen=True)
class RandomFeatures:
    """``tanh(a x + b y + c)`` of given numbers, with their derivatives.

    Attributes:
      inner: a, b and c.
    """

    inner: Float[Array, "3 num"]

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        a, b, c = (row[None] for row in self.inner)
        zero = jnp.zeros((), self.inner.dtype)
        inside = Jet(points[:, :1] * a + points[:, 1:] * b + c, a, b, zero, zero, zero)
        value = jnp.tanh(inside.u)
        slope = 1 - value**2
        return chain(value, slope, -2 * value * slope, inside)


def random_features(
    key: Key[Array, ""], num: int, scale: float | Array, dtype: Any = None
) -> RandomFeatures:
    """Draw features with a, b and c uniform up to ``scale`` either way: the trivial baseline.

    Extreme learning machines of this kind solve linear equations by themselves (Dong & Li 2021,
    arXiv 2012.02895).

    Args:
      key: of the draw.
      num: features.
      scale: of the draws, in radians a unit.
      dtype: of the features; None for JAX's default.

    Returns:
      The features.

    Raises:
      ConfigError: ``num`` below 1.
    """
    if num < 1:
        raise ConfigError("num", num, "1 or more")
    drawn = jax.random.uniform(key, (3, num), dtype, -1.0, 1.0)
    return RandomFeatures(jnp.asarray(scale, dtype) * drawn)


@register_dataclass
@dataclass(frozen=True)
class ConcatenatedFeatures:
    """Features of several kinds side by side.

    Attributes:
      parts: the kinds.
    """

    parts: tuple[Features, ...]

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        found = [filled(part(points)) for part in self.parts]
        return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, -1), *found)


def constant(points: Float[Array, "n 2"]) -> Jet:
    """The feature that is 1 everywhere."""
    zero = jnp.zeros((), points.dtype)
    return Jet(jnp.ones((points.shape[0], 1), points.dtype), zero, zero, zero, zero, zero)


def with_constant(features: Features) -> Features:
    """Add a constant to the features.

    Args:
      features: any.

    Returns:
      One feature more.
    """
    return ConcatenatedFeatures((features, Partial(constant)))


def filled(found: Jet) -> Jet:
    """Give every derivative the shape of the values; a mixed one may be a mere 0.

    Args:
      found: the derivatives of some functions at some points.

    Returns:
      The derivatives, all of one shape.
    """
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, found.u.shape), found)


class Equations(NamedTuple):
    """A problem as rows that are linear in the weights of features.

    Attributes:
      design: of the features.
      targets: what their combination should give.
    """

    design: Float[Array, "rows num"]
    targets: Float[Array, " rows"]


def equations(
    coefficients: Float[Array, "5"],
    points: Points,
    features: Features,
    boundary_weight: float = BOUNDARY_WEIGHT,
) -> Equations:
    """Return the equation at the interior points and the data of the boundary as linear rows.

    The sum of squared residuals is the mean square of the equation's residual, plus
    ``boundary_weight`` squared times that of both kinds of boundary data.

    Args:
      coefficients: of the equation.
      points: with their data.
      features: with their derivatives.
      boundary_weight: of the boundary's rows.
    """
    inside, edge = features(points.interior), features(points.boundary.points)
    dtype = inside.u.dtype
    rows, wanted = [], []

    def add(row: Array, value: Array, mask: Array, weight: float) -> None:
        count = jnp.maximum(jnp.sum(mask.astype(dtype)), 1.0)
        factor = jnp.where(mask, weight / jnp.sqrt(count), 0.0).astype(dtype)
        rows.append(row * factor[:, None])
        wanted.append(value.astype(dtype) * factor)

    everywhere = jnp.ones(points.source.shape, bool)
    add(apply_operator(coefficients.astype(dtype), inside), points.source, everywhere, 1.0)
    add(edge.u, points.dirichlet, points.dirichlet_mask, boundary_weight)
    flux = normal_derivative(edge, points.boundary.normals.astype(dtype))
    add(flux, points.neumann, points.neumann_mask, boundary_weight)
    return Equations(jnp.concatenate(rows), jnp.concatenate(wanted))


class Head(NamedTuple):
    """The best combination of features, with the factor that tells how well the data determine it.

    Attributes:
      weights: the solution is ``features(x).u @ weights``.
      factor: upper triangular R: over weights ``w``, the root mean square of what equation and data
        leave is ``|R (length * w)|``, up to what no weights can remove.
      length: of the columns.
    """

    weights: Float[Array, " num"]
    factor: Float[Array, "num num"]
    length: Float[Array, " num"]


def solve_head(
    coefficients: Float[Array, "5"],
    points: Points,
    features: Features,
    *,
    boundary_weight: float = BOUNDARY_WEIGHT,
    ridge: float = 1e-13,
) -> Float[Array, " num"]:
    """Return the weights that :func:`fit_head` finds.

    Args:
      coefficients: of the equation.
      points: with their data.
      features: with their derivatives.
      boundary_weight: of the boundary's rows.
      ridge: relative to the mean square of a column.
    """
    return fit_head(
        coefficients, points, features, boundary_weight=boundary_weight, ridge=ridge
    ).weights


def fit_head(
    coefficients: Float[Array, "5"],
    points: Points,
    features: Features,
    *,
    boundary_weight: float = BOUNDARY_WEIGHT,
    ridge: float = 1e-13,
) -> Head:
    """Combine features so that equation and boundary data hold best, in least squares.

    The problem is linear, so one regularized least-squares solve over the points finds the best
    combination. Its rows are those of :func:`equations`. Columns are scaled to length 1; ``ridge``
    is relative to them. QR (:func:`metajax.nn.factored_least_squares`) solves it in the dtype of
    the features. Under ``enable_x64`` with float64 points it reaches the accuracy that the features
    allow.

    Returns:
      The weights, and the triangular factor.
    """
    design, wanted = equations(coefficients, points, features, boundary_weight)
    head, factor, length = factored_least_squares(design, wanted[:, None], ridge**2)
    return Head(head[:, 0], factor, length)


def sensitivity(head: Head, u: Float[Array, "n num"]) -> Float[Array, " n"]:
    """Return how far the solution may change at points when its equation and data change by 1.

    At each point it is the largest |u| over all combinations of the features for which equation and
    data have a root mean square of 1, weighted as in the solve. It is of the order of 1 where the
    data determine the solution, and grows without bound where they hardly do.

    Args:
      head: of :func:`fit_head`.
      u: the features' values at the points.
    """
    scaled = (u / head.length[None]).T
    return jnp.linalg.norm(triangular_solve(head.factor.T, scaled), axis=0)
