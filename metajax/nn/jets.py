"""Functions of the plane with their first and second derivatives, carried forward together."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Array, Float


class Jet(NamedTuple):
    """A function's value at points, and its derivatives up to the second there.

    A derivative that is 0 everywhere may be a zero without axes.

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
