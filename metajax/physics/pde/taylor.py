"""Functions of the plane with their first and second derivatives, carried forward together."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Jet(NamedTuple):
    """A function's value at points, and its derivatives up to the second there.

    Attributes:
      u: the value.
      x: ``du/dx``; the others alike.
    """

    u: Float[Array, "*n"]
    x: Float[Array, "*n"]
    y: Float[Array, "*n"]
    xx: Float[Array, "*n"]
    xy: Float[Array, "*n"]
    yy: Float[Array, "*n"]


def product(f: Jet, g: Jet) -> Jet:
    """The jet of ``f g``."""
    return Jet(
        f.u * g.u,
        f.x * g.u + f.u * g.x,
        f.y * g.u + f.u * g.y,
        f.xx * g.u + 2 * (f.x * g.x) + f.u * g.xx,
        f.xy * g.u + f.x * g.y + f.y * g.x + f.u * g.xy,
        f.yy * g.u + 2 * (f.y * g.y) + f.u * g.yy,
    )


def chain(value: Array, slope: Array, curvature: Array, z: Jet) -> Jet:
    """The jet of ``psi(z)``, given ``psi``, ``psi'`` and ``psi''`` at ``z``."""
    return Jet(
        value,
        slope * z.x,
        slope * z.y,
        slope * z.xx + curvature * z.x**2,
        slope * z.xy + curvature * (z.x * z.y),
        slope * z.yy + curvature * z.y**2,
    )


def apply_operator(coefficients: Float[Array, "5"], jet: Jet) -> Float[Array, "*n"]:
    """``c1 u + c2 u_x + c3 u_y + c4 u_xx + c5 u_yy``."""
    terms = (jet.u, jet.x, jet.y, jet.xx, jet.yy)
    return sum(c * term for c, term in zip(coefficients, terms, strict=True))


def differentiate(function, points: Float[Array, "n 2"]) -> Jet:
    """The jet of any ``function(x, y)`` of scalars, by two forward derivatives on each other.

    Three passes for the second derivatives, along x, y and both: by the polarisation identity.
    """

    def along(point: Array, direction: Array) -> tuple[Array, Array, Array]:
        line = lambda t: function(*(point + t * direction))  # noqa: E731
        slope = lambda t: jax.jvp(line, (t,), (jnp.ones_like(t),))  # noqa: E731
        zero = jnp.zeros((), point.dtype)
        (u, first), (_, second) = jax.jvp(slope, (zero,), (jnp.ones_like(zero),))
        return u, first, second

    directions = jnp.asarray([[1, 0], [0, 1], [1, 1]], points.dtype)
    each = jax.vmap(jax.vmap(along, (None, 0)), (0, None))
    u, first, second = each(points, directions)
    (x, y, _), (xx, yy, both) = first.T, second.T
    return Jet(u[:, 0], x, y, xx, (both - xx - yy) / 2, yy)
