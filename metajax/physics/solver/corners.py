"""What solutions are like at corners: powers of the distance that sines cannot be combined to.

Near a corner of angle ``w`` a solution of an elliptic equation is smooth except for multiples of
``z**(k pi / w)``. Here ``z`` is the place relative to the corner as a complex number, in
coordinates in which the second derivatives are the Laplacian (Grisvard 1985, Elliptic Problems in
Nonsmooth Domains). Where one edge has u and the other du/dn, k is 1/2 less. Where the power is
whole, it is smooth, and ``z**n log(z)`` takes its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from metajax.physics.pde import Shape
from metajax.physics.solver.analytic import Analytic, Columns, Functions
from metajax.physics.solver.points import Box, contains
from metajax.physics.solver.problem import PDEProblem

AROUND = 1e-4
"""Distance from a corner at which the inside is looked up, in units."""
LOOKS = 720
"""Directions in which it is."""
ACROSS, STEPS = 3.0, 3000
"""Length of a cut that is looked at, in units, more than the box's diagonal, and steps on it."""
HIGHEST = 6.5
"""Powers of the distance that count; a smooth function has what is left."""
CORRECTED = 2.5
"""Powers up to which terms of lower order count, which multiply by the squared distance."""
WHOLE = 1e-6
"""How far from a whole number a power may be and count as one."""
NEAREST = 1e-9
"""Distance that is taken for one that is less: derivatives are infinite at a corner."""


class Corner(NamedTuple):
    """A sector of the inside around a point.

    Attributes:
      point: in units.
      first: the direction of the edge from which the inside is to the left, of length 1.
      last: of the other edge.
      mixed: whether one of them has u and the other its derivative.
      jumps: whether its edges are different pieces of the boundary on which u is given, and may
        have two values at the corner.
      pieces: the indices of its edges' pieces, that of the first edge first.
      pole: where outside the domain functions have a pole and their cut ends, in units: a longer
        cut would go through the domain again, as behind a hole. None: there is none.
    """

    point: Float[np.ndarray, "2"]
    first: Float[np.ndarray, "2"]
    last: Float[np.ndarray, "2"]
    mixed: bool
    jumps: bool
    pieces: tuple[int, int] = (0, 0)
    pole: Float[np.ndarray, "2"] | None = None


@dataclass(frozen=True)
class CornerFeatures(Analytic):
    """Real and imaginary parts of ``|z|**(2 squares) z**power`` and of that times ``log z``.

    Attributes:
      point: of the corner, in units.
      direction: ``z = direction . (x - point)``; its angle is 0 to that of the corner inside.
      middle: half the corner's angle: the logarithm's cut is opposite.
      powers: by function.
      logs: whether there is a logarithm, likewise.
      squares: by function.
      parts: 1 for the real part and -1j for the imaginary one.
      pole: where functions end their cut, in units: z is replaced by ``z / (z - c)``, where c is
        this place as a complex number. None: nowhere.
    """

    point: Float[np.ndarray, "2"]
    direction: Complex[np.ndarray, "2"]
    middle: float
    powers: Float[np.ndarray, " num"]
    logs: Float[np.ndarray, " num"]
    squares: Float[np.ndarray, " num"]
    parts: Complex[np.ndarray, " num"]
    pole: Float[np.ndarray, "2"] | None = None

    def functions(self, points: Float[np.ndarray, "n 2"]) -> Functions:
        """Return the distinct powers of z, with their logarithms, at points."""
        power, logs = self._distinct[0].T[:, None]
        away = points - self.point
        z = away @ self.direction
        z = np.where(np.abs(z) < NEAREST, NEAREST * np.exp(1j * self.middle), z)[:, None]
        middle, by_z, twice = self.middle, 1.0, 0.0
        if self.pole is not None:
            end = (self.pole - self.point) @ self.direction
            by_z, twice = -end / (z - end) ** 2, 2 * end / (z - end) ** 3
            z, middle = z / (z - end), 0.0
        log = np.log(np.abs(z)) + 1j * (middle + np.angle(z * np.exp(-1j * middle)))
        # f = z^p, or z^p log z, with its derivatives
        f = np.exp(power * log)
        first, second = power * f / z, power * (power - 1) * f / z**2
        second = np.where(logs > 0, second * log + (2 * power - 1) * f / z**2, second)
        first = np.where(logs > 0, first * log + f / z, first)
        f = np.where(logs > 0, f * log, f)
        if self.pole is not None:
            first, second = first * by_z, second * by_z**2 + first * twice
        return Functions(away, f, first, second)

    def columns(self) -> Columns:
        """Return the power, the part and the factor of each feature."""
        return Columns(self._distinct[1], self.parts, self.squares > 0)

    @cached_property
    def _distinct(self) -> tuple[Float[np.ndarray, "several 2"], np.ndarray]:
        pairs = np.stack([self.powers, self.logs], 1)
        distinct, index = np.unique(pairs, axis=0, return_inverse=True)
        return distinct, index.reshape(-1)


def corner_features(corner: Corner, hessian: Float[np.ndarray, "2 2"]) -> CornerFeatures | None:
    """Return what a solution may be like at a corner.

    Args:
      corner: the sector.
      hessian: the coefficients of the second derivatives there, symmetric and positive definite.

    Returns:
      The functions; None where a solution is smooth.
    """
    direction = to_laplacian(hessian)
    start, end = direction @ corner.first, direction @ corner.last
    angle = float(np.angle(end / start) % (2 * np.pi)) or 2 * np.pi
    direction = direction * np.exp(-1j * np.angle(start))
    straight = abs(angle - np.pi) < WHOLE
    rows = [(0.0, 1.0, 0.0, -1j)] if corner.jumps else []
    number = 0.5 if corner.mixed else 1.0
    while not (straight and not corner.mixed) and number * np.pi / angle < HIGHEST:
        power = number * np.pi / angle
        whole = abs(power - round(power)) < WHOLE
        for square in (0.0, 1.0) if power < CORRECTED else (0.0,):
            rows += [(power, float(whole), square, part) for part in (1, -1j)]
        number += 1
    if not rows:
        return None
    return CornerFeatures(corner.point, direction, angle / 2, *columns_of(rows), corner.pole)


def jump_features(
    point: Float[np.ndarray, "2"],
    tangent: Float[np.ndarray, "2"],
    given: bool,
    hessian: Float[np.ndarray, "2 2"],
) -> CornerFeatures:
    """Return what a solution may be like where data jump along a smooth boundary.

    Args:
      point: where, in units.
      tangent: of the boundary, so that the inside is to the left.
      given: whether u jumps, rather than its derivative.
      hessian: the coefficients of the second derivatives there, symmetric and positive definite.
    """
    direction = to_laplacian(hessian)
    direction = direction * np.exp(-1j * np.angle(direction @ tangent))
    rows = [(0.0, 1.0, 0.0, -1j)] if given else []
    for power in np.arange(1.0, HIGHEST):
        for square in (0.0, 1.0) if power < CORRECTED else (0.0,):
            rows += [(power, 1.0, square, part) for part in (1 + 0j, -1j)]
    return CornerFeatures(point, direction, np.pi / 2, *columns_of(rows))


def columns_of(
    rows: Sequence[tuple[float, float, float, complex]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the powers, logarithms, squares and parts of :class:`CornerFeatures`.

    Args:
      rows: these four of each function.
    """
    powers, logs, squares, parts = (np.array(column) for column in zip(*rows, strict=True))
    return powers, logs, squares, parts.astype(complex)


def to_laplacian(hessian: Float[np.ndarray, "2 2"]) -> Complex[np.ndarray, "2"]:
    """Return the complex coordinate in which given second derivatives are the Laplacian.

    Args:
      hessian: symmetric and positive definite.

    Returns:
      ``direction``: the coordinate is ``direction . x``.
    """
    rows = np.linalg.inv(np.linalg.cholesky(hessian))
    return rows[0] + 1j * rows[1]


def corners_of(domain: Shape, box: Box, kinds: Sequence[frozenset[str]]) -> list[Corner]:
    """Find the corners between straight edges of a domain's boundary.

    Args:
      domain: in the plane, on the host.
      box: around it.
      kinds: for each piece of the boundary the kinds of its data.

    Returns:
      The corners, those of angle pi where data of different pieces meet among them.
    """
    curves = domain.curves
    straight = (np.asarray(curves.radius) == 0) & (np.asarray(curves.length) > 0)
    start = box.units(np.asarray(curves.start)[straight])
    stops = start + np.asarray(curves.span)[straight] / box.half[None]
    piece = np.asarray(curves.piece)[straight]
    turns = 2 * np.pi * (np.arange(LOOKS) + 0.37) / LOOKS
    circle = np.stack([np.cos(turns), np.sin(turns)], 1)
    found = []
    for point in crossings(start, stops):
        around = box.places(point + AROUND * circle)
        inside = contains(domain, around)
        if inside.all() or not inside.any():
            continue
        here = rays(point, start, stops, piece)
        changes = np.flatnonzero(inside != np.roll(inside, 1))
        begins = [place for place in changes if inside[place]]
        ends = [place for place in changes if not inside[place]]
        for place in begins:
            stop = min(ends, key=lambda other: (other - place) % LOOKS)
            begin, end = (nearest_ray(here, turns[at] - np.pi / LOOKS) for at in (place, stop))
            if begin is None or end is None:
                continue
            (first, one), (last, other) = begin, end
            given = has_u(kinds[one]), has_u(kinds[other])
            mixed, jumps = given[0] != given[1], one != other and all(given)
            pole = pole_of(domain, box, point, first, last)
            found.append(Corner(point, first, last, mixed, jumps, (one, other), pole))
    return found


def pole_of(
    domain: Shape,
    box: Box,
    point: Float[np.ndarray, "2"],
    first: Float[np.ndarray, "2"],
    last: Float[np.ndarray, "2"],
) -> Float[np.ndarray, "2"] | None:
    """Return where the cut of functions of a corner has to end.

    Args:
      domain: in the plane, on the host.
      box: around it.
      point: of the corner, in units.
      first: the direction of the edge from which the inside is to the left.
      last: that of the other edge.

    Returns:
      The middle of the part of the cut that is outside; None where the cut does not come back into
      the domain.
    """
    start, end = first[0] + 1j * first[1], last[0] + 1j * last[1]
    half = (np.angle(end / start) % (2 * np.pi) or 2 * np.pi) / 2
    away = -start * np.exp(1j * half)
    steps = np.linspace(0, ACROSS, STEPS + 1)[1:]
    ray = point + steps[:, None] * np.array([away.real, away.imag])
    back = contains(domain, box.places(ray))
    if not back.any():
        return None
    return point + steps[np.argmax(back)] / 2 * np.array([away.real, away.imag])


def kinds_of(problem: PDEProblem) -> list[frozenset[str]]:
    """Return the kinds of data on each piece of a domain's boundary.

    Args:
      problem: whose domain it is.
    """
    return [
        frozenset(data.kind for data in problem.edges if number in data.pieces)
        for number in range(len(problem.domain.pieces))
    ]


def has_u(kinds: frozenset[str]) -> bool:
    """Whether u is given, rather than its derivative."""
    return "dirichlet" in kinds


def crossings(
    start: Float[np.ndarray, "n 2"], end: Float[np.ndarray, "n 2"]
) -> Float[np.ndarray, "m 2"]:
    """All ends of segments, and where two of them cross; each once."""
    span = end - start
    points = [start, end]
    for one in range(len(start)):
        across = span[one, 0] * span[:, 1] - span[one, 1] * span[:, 0]
        safe = np.where(np.abs(across) > 1e-12, across, np.inf)
        apart = start - start[one]
        s = (apart[:, 0] * span[:, 1] - apart[:, 1] * span[:, 0]) / safe
        t = (apart[:, 0] * span[one, 1] - apart[:, 1] * span[one, 0]) / safe
        crossed = np.isfinite(safe) & (s > 0) & (s < 1) & (t > 0) & (t < 1)
        points.append(start[one] + s[crossed, None] * span[one])
    every = np.concatenate(points)
    _, index = np.unique(np.round(every, 9), axis=0, return_index=True)
    return every[np.sort(index)]


def rays(
    point: Float[np.ndarray, "2"],
    start: Float[np.ndarray, "n 2"],
    end: Float[np.ndarray, "n 2"],
    piece: np.ndarray,
) -> list[tuple[Float[np.ndarray, "2"], int]]:
    """Directions in which segments leave a point, with their pieces."""
    found = []
    for a, b, number in zip(start, end, piece, strict=True):
        span = b - a
        length = np.linalg.norm(span)
        along = span / length
        place = (point - a) @ along
        off = np.abs((point - a) @ np.array([-along[1], along[0]]))
        if off < 1e-7 and -1e-7 < place < length + 1e-7:
            if place < length - 1e-7:
                found.append((along, int(number)))
            if place > 1e-7:
                found.append((-along, int(number)))
    return found


def nearest_ray(
    here: Sequence[tuple[Float[np.ndarray, "2"], int]], angle: float
) -> tuple[Float[np.ndarray, "2"], int] | None:
    """The direction that is within a step of an angle."""
    look = np.array([np.cos(angle), np.sin(angle)])
    near = [ray for ray in here if ray[0] @ look > np.cos(4 * np.pi / LOOKS)]
    return max(near, key=lambda ray: ray[0] @ look) if near else None
