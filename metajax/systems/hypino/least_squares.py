"""Linear problems by least squares: the best combination of given features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import Partial, register_dataclass
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError
from metajax.nn import Jet
from metajax.nn.jets import chain
from metajax.physics.pde import Points, apply_operator, normal_derivative

Features = Callable[[Float[Array, "n 2"]], Jet]
"""``features(points [n, 2]) -> Jet`` of ``[n, num]``."""


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

    Raises:
      ConfigError: ``num`` below 1.
    """
    if num < 1:
        raise ConfigError("num", num, "1 or more")
    drawn = jax.random.uniform(key, (3, num), dtype, -1.0, 1.0)
    return RandomFeatures(jnp.asarray(scale, dtype) * drawn)


@register_dataclass
@dataclass(frozen=True)
class Together:
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
    """The features and a constant."""
    return Together((features, Partial(constant)))


def filled(found: Jet) -> Jet:
    """The same with every derivative of the values' shape; a mixed one may be a mere 0."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, found.u.shape), found)


def solve_head(
    coefficients: Float[Array, "5"],
    points: Points,
    features: Features,
    *,
    boundary_weight: float = 10.0,
    ridge: float = 1e-13,
) -> Float[Array, " num"]:
    """Combine features so that equation and boundary data hold best, in least squares.

    The problem is linear, so the best combination is one regularised least-squares solve over the
    points: rows are means over the points of the equation's residual, and of both kinds of
    boundary data with ``boundary_weight``. Columns are scaled to length 1; ``ridge`` is relative to
    them. It is solved by QR, in the dtype of the features: under ``enable_x64`` with float64
    points it reaches the accuracy that features allow.

    Returns:
      The weights: the solution is ``features(x).u @ weights``.
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
    design = jnp.concatenate(rows)
    num = design.shape[1]
    length = jnp.linalg.norm(design, axis=0)
    length = jnp.where(length > 0, length, 1.0)
    scaled = jnp.concatenate([design / length[None], ridge * jnp.eye(num, dtype=dtype)])
    target = jnp.concatenate([*wanted, jnp.zeros(num, dtype)])
    q, r = jnp.linalg.qr(scaled)
    return jax.scipy.linalg.solve_triangular(r, q.T @ target) / length
