"""What solutions are like around holes: functions that have no value at the hole's center."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import special

from metajax.physics.pde import Combination, Disk, Shape
from metajax.physics.solver.corners import CornerFeatures, to_laplacian
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.points import Box, contains

ORDERS, FEW_ORDERS = 14, 4
"""Highest angular frequency around disks, and around other holes."""
NOTHING = np.log(1e-12)
"""The logarithm of what counts no more."""
OUTSIDE = 1e-4
"""How far out of a hole the domain is looked up, relative to its size."""


class Hole(NamedTuple):
    """A hole of a domain.

    Attributes:
      center: a point in it, in units.
      orders: highest angular frequency that counts.
    """

    center: Float[np.ndarray, "2"]
    orders: int


@dataclass(frozen=True)
class BesselFeatures:
    """Solutions of ``Laplacian u = decay**2 u`` that are singular at a point, or of waves.

    Real and imaginary parts of ``K_k(decay r) e^(i k t)`` where ``decay`` is real, and of
    ``Y_k(wave r) e^(i k t)``.

    Attributes:
      center: the point, in units.
      direction: ``r e^(i t) = direction . (x - center)``.
      number: decay or wave number, above 0.
      waves: whether it is a wave number.
      orders: highest k.
    """

    center: Float[np.ndarray, "2"]
    direction: Complex[np.ndarray, "2"]
    number: float
    waves: bool
    orders: int

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        z = (points - self.center) @ self.direction
        r = np.maximum(np.abs(z), 1e-9)
        turn = z / r
        x = self.number * r
        high = [special.y0(x), special.y1(x)] if self.waves else [special.k0(x), special.k1(x)]
        for k in range(1, self.orders + 2):
            sign = -1 if self.waves else 1
            high.append(2 * k / x * high[k] + sign * high[k - 1])

        def wave(k: int) -> np.ndarray:
            odd = -1 if self.waves and k < 0 and k % 2 else 1
            return odd * high[abs(k)] * turn**k

        # (d/dX + i d/dY) lifts the order by one, and (d/dX - i d/dY) lowers it
        up, down = -self.number, self.number if self.waves else -self.number
        p, q = self.direction.real, self.direction.imag
        value, gradient, hessian = operator
        columns = []
        for k in range(self.orders + 1):
            found = np.zeros(len(points), complex)
            # the combination of derivatives of a complex function is taken of both parts at once
            if value is not None:
                found += value * wave(k)
            if gradient is not None:
                raised, lowered = up * wave(k + 1), down * wave(k - 1)
                found += (gradient @ p) * (raised + lowered) / 2
                found += (gradient @ q) * (raised - lowered) / 2j
            if hessian is not None:
                twice, same, back = up**2 * wave(k + 2), up * down * wave(k), down**2 * wave(k - 2)
                pp, qq = (np.einsum("i,nij,j->n", one, hessian, one) for one in (p, q))
                pq = np.einsum("i,nij,j->n", p, hessian, q) + np.einsum("i,nij,j->n", q, hessian, p)
                found += pp * (twice + 2 * same + back) / 4
                found -= qq * (twice - 2 * same + back) / 4
                found += pq * (twice - back) / 4j
            columns.append(found.real)
            if k:
                columns.append(found.imag)
        return np.stack(columns, 1)


def hole_features(
    hole: Hole, hessian: Float[np.ndarray, "2 2"], value: float | None
) -> CornerFeatures | BesselFeatures:
    """Return what a solution may be like around a hole.

    Args:
      hole: any.
      hessian: the coefficients of the second derivatives, symmetric and positive definite.
      value: the coefficient of u where these two are constant and there are no others; None
        elsewhere.

    Returns:
      Solutions of the equation outside the hole, or of its second derivatives alone.
    """
    direction = to_laplacian(hessian)
    if value:
        number = float(np.sqrt(abs(value)))
        return BesselFeatures(hole.center, direction, number, value > 0, hole.orders)
    rows = [(0.0, 1.0, 0.0, 1 + 0j)]
    squares = (0.0,) if value is not None else (0.0, 1.0)
    for square in squares:
        for order in range(1, hole.orders + 1):
            rows += [(-float(order), 0.0, square, part) for part in (1 + 0j, -1j)]
    powers, logs, lifted, parts = (np.array(column) for column in zip(*rows, strict=True))
    real = (powers.real, logs.real, lifted.real)
    return CornerFeatures(hole.center, direction, 0.0, *real, parts)


def holes_of(domain: Shape, box: Box) -> list[Hole]:
    """Find the holes of a domain that are made by taking a shape away.

    Args:
      domain: in the plane, on the host.
      box: around it.

    Returns:
      The holes.
    """
    found = []
    turns = 2 * np.pi * np.arange(64) / 64
    circle = np.stack([np.cos(turns), np.sin(turns)], 1)
    for shape in taken_away(domain):
        lower, upper = np.asarray(shape.bounds, float)
        middle, half = (lower + upper) / 2, (upper - lower) / 2
        around = (
            middle + half * (1 if isinstance(shape, Disk) else np.sqrt(2)) * (1 + OUTSIDE) * circle
        )
        if not contains(domain, middle[None])[0] and contains(domain, around).mean() > 0.5:
            orders = orders_of(half / box.half) if isinstance(shape, Disk) else FEW_ORDERS
            found.append(Hole(box.units(middle[None])[0], orders))
    return found


def orders_of(half: Float[np.ndarray, "2"]) -> int:
    """The angular frequencies around a disk, by its half extents in units.

    What is at a distance of 1 makes a part of frequency k as large as the k-th power of the radius.
    """
    radius = min(float(np.max(half)), 0.5)
    return int(np.clip(np.ceil(NOTHING / np.log(radius)), FEW_ORDERS, ORDERS))


def taken_away(domain: Shape, away: bool = False) -> list[Shape]:
    """The plain shapes that are taken away from a domain."""
    if isinstance(domain, Combination):
        other = away != (domain.operation == "difference")
        return taken_away(domain.first, away) + taken_away(domain.second, other)
    return [domain] if away else []
