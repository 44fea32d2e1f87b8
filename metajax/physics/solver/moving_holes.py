"""What solutions are like around round holes, whose place and size may be traced."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import register_dataclass
from metajax.physics.pde import Disk, Shape
from metajax.physics.solver.holes import taken_away
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.points import Box

ORDERS = 6
"""Highest angular frequency."""
DEEPEST = 0.5
"""How far into a hole the functions are taken, in radii: they are infinite at its center."""


@register_dataclass
@dataclass(frozen=True)
class HoleFeatures:
    """``log |z|`` and both parts of ``z^-k``, ``z`` the place relative to a hole, in its radii.

    They are harmonic, and sines cannot replace them. Sines are smooth inside the hole too, where
    the continuation of a solution need not be.

    Attributes:
      center: of the hole, in units.
      half: half the box, in the hole's radii.
      orders: highest k. Static.
    """

    center: Float[Array, " 2"]
    half: Float[Array, " 2"]
    orders: int = field(default=ORDERS, metadata={"static": True})

    def __call__(self, points: Float[Array, "n 2"], operator: Operator) -> Float[Array, "n num"]:
        x, y = ((points - self.center[None]) * self.half[None]).T
        apart = jnp.sqrt(jnp.maximum(x**2 + y**2, 1e-12))
        outside = jnp.maximum(apart, DEEPEST) / apart
        z = jax.lax.complex(outside * x, outside * y)
        powers = [1 / z]
        for _ in range(self.orders + 1):
            powers.append(powers[-1] / z)
        orders = jnp.arange(1, self.orders + 1, dtype=z.dtype)[None]
        inverse = jnp.stack(powers, 1)
        values = inverse[:, : self.orders]
        slopes = -orders * inverse[:, 1 : self.orders + 1]
        bends = orders * (orders + 1) * inverse[:, 2 : self.orders + 2]
        logs = jnp.log(z)[:, None], inverse[:, :1], -inverse[:, 1:2]
        value, slope, bend = (
            jnp.concatenate([log, part], 1)
            for log, part in zip(logs, (values, slopes, bends), strict=True)
        )
        found = jnp.zeros_like(value)
        if operator.value is not None:
            found = found + operator.value[:, None].astype(z.dtype) * value
        # a derivative along y is i times that along x
        none = jnp.zeros_like(self.half[0])
        real, imaginary = jnp.stack([self.half[0], none]), jnp.stack([none, self.half[1]])
        along = jax.lax.complex(real, imaginary)
        if operator.gradient is not None:
            found = found + (operator.gradient.astype(z.dtype) @ along)[:, None] * slope
        if operator.hessian is not None:
            both = along[:, None] * along[None]
            found = (
                found + (operator.hessian.astype(z.dtype) * both[None]).sum((1, 2))[:, None] * bend
            )
        return jnp.concatenate([found.real, found.imag[:, 1:]], 1)


def round_holes(domain: Shape, box: Box) -> tuple[HoleFeatures, ...]:
    """Return features for every disk that is taken away from a domain.

    Args:
      domain: its sizes may be traced.
      box: around it.
    """
    holes = [shape for shape in taken_away(domain) if isinstance(shape, Disk)]
    return tuple(
        HoleFeatures(box.units(hole.centre[None])[0], box.half / hole.radius) for hole in holes
    )
