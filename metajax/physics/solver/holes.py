"""What solutions are like around holes: functions that have no value at the hole's center."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float
from scipy import special

from metajax.physics.pde import Combination, Disk, Ellipse, Shape
from metajax.physics.solver.analytic import Analytic, Columns, Functions
from metajax.physics.solver.corners import NEAREST, CornerFeatures, columns_of, to_laplacian
from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.points import Box, contains, faces_of
from metajax.physics.solver.ridge_functions import FeatureSet

ORDERS, FEW_ORDERS, MOST_ORDERS = 24, 4, 32
"""Highest angular frequency around disks, the least of these, and the highest around ellipses."""
ROUND = 1e-6
"""How different the axes of an ellipse may be, and it counts as a circle."""
POLES, SOURCES = np.array([0.5, 0.75]), 24
"""Where poles are on the way from a hole's center to its boundary, and sources at most."""
RIM, FEWEST = 32, 8
"""Places of a hole's boundary for poles, and the least number of them along each curve."""
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

    @property
    def num(self) -> int:
        """How many functions there are."""
        return 2 * self.orders + 1

    def functions(self, points: Float[np.ndarray, "n 2"]) -> Complex[np.ndarray, "n more"]:
        """Return the complex functions of orders from -2 to two above the highest at points."""
        z = (points - self.center) @ self.direction
        r = np.maximum(np.abs(z), 1e-9)
        x = self.number * r
        high = [special.y0(x), special.y1(x)] if self.waves else [special.k0(x), special.k1(x)]
        sign = -1 if self.waves else 1
        for k in range(1, self.orders + 2):
            high.append(2 * k / x * high[k] + sign * high[k - 1])
        turn = [np.ones_like(z)]
        for _ in range(self.orders + 2):
            turn.append(turn[-1] * z / r)
        low = [high[2] * turn[2].conj(), sign * high[1] * turn[1].conj()]
        pairs = zip(high, turn, strict=True)
        return np.stack([*low, *(size * phase for size, phase in pairs)], 1)

    @property
    def shifts(self) -> tuple[float, float]:
        """Factors of the function of the next order, and of the one before, in derivatives.

        Those are d/dX + i d/dY and d/dX - i d/dY, where ``X + i Y = r e^(i t)``.
        """
        return -self.number, self.number if self.waves else -self.number

    def __call__(self, points: Float[np.ndarray, "n 2"], operator: Operator) -> np.ndarray:
        return self.applied(self.functions(points), operator)

    def applied(self, every: Complex[np.ndarray, "n more"], operator: Operator) -> np.ndarray:
        """Return the operator applied to every function where the complex ones are known.

        Args:
          every: the complex functions.
          operator: at the same points.
        """
        many, num = len(every), self.orders + 1
        up, down = self.shifts
        p, q = self.direction.real, self.direction.imag
        value, gradient, hessian = operator
        # the factors of functions of orders that are lower or higher by up to 2
        factors = np.zeros((5, many), complex)
        if value is not None:
            factors[2] += value
        if gradient is not None:
            factors[3] += up * (gradient @ p - 1j * (gradient @ q)) / 2
            factors[1] += down * (gradient @ p + 1j * (gradient @ q)) / 2
        if hessian is not None:
            pp, qq = (np.einsum("i,nij,j->n", one, hessian, one) for one in (p, q))
            pq = np.einsum("i,nij,j->n", p, hessian, q) + np.einsum("i,nij,j->n", q, hessian, p)
            factors[4] += up**2 * (pp - qq - 1j * pq) / 4
            factors[2] += up * down * (pp + qq) / 2
            factors[0] += down**2 * (pp - qq + 1j * pq) / 4
        used = np.flatnonzero(factors.any(1))
        found = np.zeros((many, num), complex)
        for shift in used:
            found += factors[shift, :, None] * every[:, shift : shift + num]
        both = np.stack([found.real, found.imag], 2).reshape(many, -1)
        return np.delete(both, 1, 1)

    def combined(
        self, points: Float[np.ndarray, "n 2"], weights: Float[np.ndarray, " num"]
    ) -> Values:
        """Return one combination of the functions with its derivatives at points."""
        every, num = self.functions(points), self.orders + 1
        parts = np.insert(weights, 1, 0.0).reshape(num, 2) @ np.array([1, -1j])
        below, before, same, after, above = (
            every[:, shift : shift + num] @ parts for shift in range(5)
        )
        up, down = self.shifts
        p, q = self.direction.real, self.direction.imag
        right, left = up * after, down * before
        gradient = np.outer(right + left, p) / 2 + np.outer(right - left, q) / 2j
        twice, back, middle = up**2 * above, down**2 * below, 2 * up * down * same
        mixed = np.outer(p, q) + np.outer(q, p)
        hessian = (
            np.multiply.outer(twice + middle + back, np.outer(p, p)) / 4
            - np.multiply.outer(twice - middle + back, np.outer(q, q)) / 4
            + np.multiply.outer(twice - back, mixed) / 4j
        )
        return Values(same.real, gradient.real, hessian.real)


@dataclass(frozen=True)
class EllipseFeatures(Analytic):
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

    def functions(self, points: Float[np.ndarray, "n 2"]) -> Functions:
        """Return the logarithm of w and its powers at points."""
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
        return Functions(away, f, by_w * slope, twice * slope**2 + by_w * bend)

    def columns(self) -> Columns:
        """Return the real part of the logarithm and both parts of the powers, lifted ones last."""
        return around_hole(self.orders, self.lifted)


@dataclass(frozen=True)
class PoleFeatures(Analytic):
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

    def functions(self, points: Float[np.ndarray, "n 2"]) -> Functions:
        """Return the logarithm and the inverses at points."""
        away = points - self.center
        z = (away @ self.direction)[:, None]
        z = np.where(np.abs(z) < NEAREST, NEAREST, z)
        inverse = 1 / (z - self.poles[None])
        f = np.concatenate([np.log(z), inverse], 1)
        first = np.concatenate([1 / z, -(inverse**2)], 1)
        return Functions(away, f, first, np.concatenate([-1 / z**2, 2 * inverse**3], 1))

    def columns(self) -> Columns:
        """Return the real part of the logarithm and both parts of inverses, lifted ones last."""
        return around_hole(len(self.poles), self.lifted)


def around_hole(num: int, lifted: bool) -> Columns:
    """Features of a logarithm and some other functions, which have both parts."""
    function = np.concatenate([np.arange(num + 1), np.arange(1, num + 1)])
    part = np.where(np.arange(len(function)) <= num, 1, -1j)
    which = np.array([False, True] if lifted else [False])
    times = len(which)
    return Columns(np.tile(function, times), np.tile(part, times), which.repeat(len(function)))


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
    return [CornerFeatures(hole.center, direction, 0.0, *columns_of(rows))]


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
