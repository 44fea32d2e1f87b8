"""The closed domain: which points belong to a domain's inside or to the boundary of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from metajax.core import cast_floats, float64_on_cpu
from metajax.physics.pde.geometry import (
    LEAST,
    Boundary,
    Curves,
    Shape,
    candidates_inside,
    ends_here,
    half_extent,
    norm,
    walk,
)

TOLERANCE = 1e-6
"""How far outside a point may be and still count as one of the boundary: shapes are float32."""
ALONG, DEPTH = (0.0, -3e-4, 3e-4), 1e-8
"""How far along a curve, and to its sides, the inside is looked for in float64. These and the
tolerance are relative to half the extent of the domain."""


@jax.jit
def in_closure(
    shape: Shape, points: Float[Array, "n 2"], tolerance: float = TOLERANCE
) -> Bool[Array, " n"]:
    """Return whether points belong to the closure of a domain's inside.

    The distance is 0 wherever the boundaries of two combined shapes coincide, also where neither
    side is inside the domain. Examples are the edge of a hole on the edge of what it is taken from,
    and two holes that touch. So a point of a curve belongs to the domain only if one of the curve's
    sides is inside, there or a little further along it. The latter matters at corners and where
    curves touch.

    Args:
      shape: the domain, in float64: the inside is looked for nearer than float32 resolves.
      points: where.
      tolerance: how far outside a point may be, relative to half the extent of the domain.

    Returns:
      True where a point belongs to it.
    """
    curves, size = shape.curves, half_extent(shape)

    def beside(curve: Curves) -> Bool[Array, " n"]:
        """Whether points lie on this curve, and the domain's inside next to it."""
        start, span, radius, length, _, _, axes = curve
        straight = radius == 0
        along = jnp.where(straight, span / jnp.where(length > 0, length, 1.0), 0.0)
        from_start = points - start[None]
        # the circle that an ellipse is stretched from; points near the curve keep their angle
        around = from_start @ inverse(axes)
        apart = jnp.where(straight, 1.0, norm(around))
        outward = around / jnp.where(apart > 0, apart, 1.0)[:, None]
        # 0 to length on a segment; on a circle no place is the first, and nothing is clipped
        place = jnp.where(straight, jnp.clip(from_start @ along, 0.0, length), 0.0)
        found = jnp.zeros(len(points), bool)
        for shift in ALONG:
            here = jnp.clip(place + shift * size, 0.0, length)[:, None]
            at = start[None] + here * along[None]
            angle = shift * size / jnp.where(straight, 1.0, radius)
            cos, sin = jnp.cos(angle), jnp.sin(angle)
            x, y = outward.T
            cos, sin = cos * x - sin * y, sin * x + cos * y
            turned = jnp.stack([cos, sin], 1) @ axes
            tangent = jnp.stack([-sin, cos], 1) @ axes
            normal = jnp.stack([tangent[:, 1], -tangent[:, 0]], 1) / norm(tangent)[:, None]
            side = jnp.stack([along[1], -along[0]])
            normal = jnp.where(straight, side[None], normal)
            at = jnp.where(straight, at, start[None] + radius * turned)
            for depth in (DEPTH * size, -DEPTH * size):
                found |= shape.contains(at + depth * normal)
        nearest = jnp.where(
            straight,
            norm(from_start - place[:, None] * along[None]),
            norm(from_start - radius * outward @ axes),
        )
        return found & (nearest <= tolerance * size) & (length > 0)

    # one curve after the other: together they would take points * curves * 6 distances
    on_curves = jax.lax.map(beside, curves)
    return shape.contains(points) | jnp.any(on_curves, 0)


def inverse(axes: Float[Array, "2 2"]) -> Float[Array, "2 2"]:
    """The inverse of a matrix."""
    (a, b), (c, d) = axes
    return jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) / (a * d - b * c)


def has_inside(domain: Shape) -> bool:
    """Return whether a domain has an inside: at a random point of its box, or along its boundary.

    A narrow domain may pass between all points of the box, but not between all of its boundary. It
    is looked for in float64, as float32 does not tell the sides of what is narrower than 1e-4.

    Args:
      domain: not traced.

    Returns:
      Whether a point of its inside was found.
    """
    with float64_on_cpu():
        return bool(_has_inside(cast_floats(jax.tree.map(np.asarray, domain), np.float64)))


@jax.jit
def _has_inside(domain: Shape) -> Bool[Array, ""]:
    _, keep = candidates_inside(domain, jax.random.key(0), 40_000)
    _, spacing = outline(domain, 8192)
    return jnp.any(keep) | jnp.any(spacing > 0)


def outline(domain: Shape, num: int) -> tuple[Boundary, Float[Array, " num"]]:
    """Points all along the boundary, of short curves too, and the length that each stands for.

    It is 0 for points that other shapes hide.
    """
    curves = domain.curves
    middle = jnp.full(num, 0.5, curves.length.dtype)
    at, spacing = walk(curves, middle, LEAST)
    return at, jnp.where(ends_here(domain, at, curves), spacing, 0.0)
