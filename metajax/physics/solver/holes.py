"""What solutions are like around holes: functions that have no value at the hole's center."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import special

from metajax.physics.pde import Combination, Disk, Ellipse, Shape
from metajax.physics.solver.corners import NEAREST, CornerFeatures, apply_analytic, to_laplacian
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.points import Box, contains, faces_of
from metajax.physics.solver.ridge_functions import FeatureSet

ORDERS, FEW_ORDERS, MOST_ORDERS = 14, 4, 32
"""Highest angular frequency around disks, the least of these, and the highest around ellipses."""
ROUND = 1e-6
"""How different the axes of an ellipse may be, and it counts as a circle."""
POLES, SOURCES = np.array([0.5, 0.75]), 24
"""Where poles are on the way from a hole's center to its boundary, and sources at most."""
RIM, FEWEST = 32, 8
"""Places of a hole's boundary for poles, and the least number of them along each curve."""
NOT_LIFTED = np.zeros((1, 1), bool)
NOTHING = np.log(1e-12)
"""The logarithm of what counts no more."""
OUTSIDE = 1e-4
"""How far out of a hole the domain is looked up, relative to its size."""


class Hole(NamedTuple):
    """A hole of a domain.

    Attributes:
      center: a point in it, in units.
      orders: highest angular frequency that counts.
      rim: places of its boundary, relative to the center.
      axes: of a disk or an ellipse, from the center to its boundary, in rows; None for another one.
    """

    center: Float[np.ndarray, "2"]
    orders: int
    rim: Float[np.ndarray, "n 2"]
    axes: Float[np.ndarray, "2 2"] | None


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


@dataclass(frozen=True)
class EllipseFeatures:
    """``log |w|`` and both parts of ``w^-k``, where w maps what is around an ellipse to what is
    around the unit circle: ``z = P w + Q / w`` (Joukowski). Harmonic functions around the ellipse
    are combinations of these.

    Attributes:
      center: of the ellipse, in units.
      direction: ``z = direction . (x - center)``.
      sum: P.
      difference: Q.
      orders: highest k.
      lifted: whether there are also those times ``|z|**2``.
    """

    center: Float[np.ndarray, "2"]
    direction: Complex[np.ndarray, "2"]
    sum: complex
    difference: complex
    orders: int
    lifted: bool

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        away = points - self.center
        z = (away @ self.direction)[:, None]
        focus = 2 * np.sqrt(self.sum * self.difference)
        # the product of these two roots has its cut between the foci alone
        root = focus * np.sqrt(z / focus - 1) * np.sqrt(z / focus + 1)
        w = (z + root) / (2 * self.sum)
        slope = 1 / (self.sum - self.difference / w**2)
        bend = -2 * self.difference * (slope / w) ** 3
        k = np.arange(1, self.orders + 1)[None]
        power = w ** (-k)
        by_w = np.concatenate([1 / w, -k * power / w], 1)
        twice = np.concatenate([-1 / w**2, k * (k + 1) * power / w**2], 1)
        f = np.concatenate([np.log(w), power], 1)
        first, second = by_w * slope, twice * slope**2 + by_w * bend
        both = [np.concatenate([part, -1j * part[:, 1:]], 1) for part in (f, first, second)]
        rows = [apply_analytic(operator, self.direction, both, away, NOT_LIFTED)]
        if self.lifted:
            rows.append(apply_analytic(operator, self.direction, both, away, ~NOT_LIFTED))
        return np.concatenate(rows, 1)


@dataclass(frozen=True)
class PoleFeatures:
    """``log |z - c|`` and both parts of ``1 / (z - p)`` of poles p in a hole.

    Attributes:
      center: where c is, in units.
      direction: ``z = direction . (x - center)``.
      poles: as z.
      lifted: whether there are also those times ``|z|**2``.
    """

    center: Float[np.ndarray, "2"]
    direction: Complex[np.ndarray, "2"]
    poles: Complex[np.ndarray, " num"]
    lifted: bool

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        away = points - self.center
        z = (away @ self.direction)[:, None]
        z = np.where(np.abs(z) < NEAREST, NEAREST, z)
        inverse = 1 / (z - self.poles[None])
        f = np.concatenate([np.log(z), inverse, -1j * inverse], 1)
        first = np.concatenate([1 / z, -(inverse**2), 1j * inverse**2], 1)
        second = np.concatenate([-1 / z**2, 2 * inverse**3, -2j * inverse**3], 1)
        rows = [apply_analytic(operator, self.direction, (f, first, second), away, NOT_LIFTED)]
        if self.lifted:
            rows.append(
                apply_analytic(operator, self.direction, (f, first, second), away, ~NOT_LIFTED)
            )
        return np.concatenate(rows, 1)


def hole_features(
    hole: Hole, hessian: Float[np.ndarray, "2 2"], value: float | None
) -> list[FeatureSet]:
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
    poles = (hole.rim @ direction)[None] * POLES[:, None]
    sum_, difference = 0j, 0j
    if hole.axes is not None:
        first, second = hole.axes @ direction
        sum_, difference = sorted(
            ((first - 1j * second) / 2, (first + 1j * second) / 2), key=abs, reverse=True
        )
    round_ = hole.axes is not None and abs(difference) < ROUND * abs(sum_)
    if value:
        number = float(np.sqrt(abs(value)))
        if round_:
            return [BesselFeatures(hole.center, direction, number, value > 0, hole.orders)]
        places = hole.center + POLES[0] * hole.rim[:: -(-len(hole.rim) // SOURCES)]
        return [BesselFeatures(place, direction, number, value > 0, 1) for place in places]
    lifted = value is None
    if hole.axes is None:
        return [PoleFeatures(hole.center, direction, poles.reshape(-1), lifted)]
    if not round_:
        # what is singular between the foci falls by this factor from one k to the next
        factor = np.sqrt(abs(difference) / abs(sum_))
        enough = int(np.ceil(NOTHING / np.log(factor)))
        orders = max(hole.orders, min(enough, MOST_ORDERS))
        return [EllipseFeatures(hole.center, direction, sum_, difference, orders, lifted)]
    rows = [(0.0, 1.0, 0.0, 1 + 0j)]
    squares = (0.0, 1.0) if lifted else (0.0,)
    for square in squares:
        for order in range(1, hole.orders + 1):
            rows += [(-float(order), 0.0, square, part) for part in (1 + 0j, -1j)]
    powers, logs, squared, parts = (np.array(column) for column in zip(*rows, strict=True))
    real = (powers.real, logs.real, squared.real)
    return [CornerFeatures(hole.center, direction, 0.0, *real, parts)]


def holes_of(domain: Shape, box: Box) -> list[Hole]:
    """Find the holes of a domain that are made by taking a shape away.

    Args:
      domain: in the plane, on the host.
      box: around it.

    Returns:
      The holes.
    """
    found = []
    for shape in taken_away(domain):
        lower, upper = np.asarray(shape.bounds, float)
        middle, half = (lower + upper) / 2, (upper - lower) / 2
        faces = faces_of(shape)
        num = max(RIM // len(faces), FEWEST)
        along = ((np.arange(num) + 0.5) / num)[:, None]
        rim = np.concatenate([face.place(along)[0] for face in faces])
        around = middle + (1 + OUTSIDE) * (rim - middle)
        if contains(domain, middle[None])[0] or contains(domain, around).mean() <= 0.5:
            continue
        axes = None
        if isinstance(shape, Disk):
            axes = shape.radius * np.eye(2) / box.half
        elif isinstance(shape, Ellipse):
            axes = shape.turned * shape.radii[:, None] / box.half
        away = (rim - middle) / box.half
        center = box.units(middle[None])[0]
        found.append(Hole(center, orders_of(half / box.half), away, axes))
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
