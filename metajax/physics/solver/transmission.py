"""What solutions are like at points where interfaces bend, meet each other or the boundary.

In each sector around the point a solution is smooth except for multiples of ``r**p cos(p t)`` and
``r**p sin(p t)``. All sectors have the same powers p: those for which such functions can agree on
every interface in u and in flux, and with the kind of data at both ends. The source is Kellogg
1974, On the Poisson equation with intersecting interfaces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

from metajax.physics.solver.corners import (
    CORRECTED,
    HIGHEST,
    WHOLE,
    Corner,
    CornerFeatures,
    columns_of,
    has_u,
    to_laplacian,
)

INTERFACE = frozenset({"interface"})
"""The kind of data on a piece of a part's boundary that is an interface."""
SAME = 1e-7
"""Distance in units, or difference of directions, below which two are one."""
LOOKS = 2048
"""Powers that are tried, between which there is at most one."""
TOUCHES = 1e-9
"""How near to 0 a function comes that touches it."""


class Sector(NamedTuple):
    """A part of the domain around a point.

    Attributes:
      part: its index.
      corner: of the part.
      hessian: the coefficients of the second derivatives, symmetric and positive definite.
    """

    part: int
    corner: Corner
    hessian: Float[np.ndarray, "2 2"]


class Wedge(NamedTuple):
    """A sector in coordinates in which the second derivatives of all are multiples of one.

    Attributes:
      start: the angle where it begins.
      angle: between its edges.
      size: the multiple.
      sector: it.
    """

    start: float
    angle: float
    size: float
    sector: Sector


def transmission_features(
    sectors: Sequence[Sector], kinds: Sequence[frozenset[str]]
) -> list[tuple[int, CornerFeatures]]:
    """Return what a solution may be like where parts of a domain meet.

    Args:
      sectors: the corners of all parts that have an interface for an edge.
      kinds: of the data on each piece of the parts' boundaries.

    Returns:
      Functions with the index of the part where they hold.
    """
    found: list[tuple[int, CornerFeatures]] = []
    left = list(sectors)
    while left:
        point = left[0].corner.point
        here = [one for one in left if np.max(np.abs(one.corner.point - point)) < SAME]
        left = [one for one in left if np.max(np.abs(one.corner.point - point)) >= SAME]
        ordered = in_order(here)
        if ordered is None:
            continue
        wedges, closed = ordered
        first, last = wedges[0].sector.corner, wedges[-1].sector.corner
        ends = has_u(kinds[first.pieces[0]]), has_u(kinds[last.pieces[1]])
        powers = powers_of(wedges, None if closed else ends)
        jumps = not closed and all(ends) and first.pieces[0] != last.pieces[1]
        for wedge in wedges:
            features = wedge_features(wedge, powers, jumps)
            if features is not None:
                found.append((wedge.sector.part, features))
    return found


def in_order(sectors: Sequence[Sector]) -> tuple[list[Wedge], bool] | None:
    """Sectors counterclockwise, each beginning where the one before ends.

    Args:
      sectors: around one point.

    Returns:
      They, and whether they go all around; None where they do not join, or their coefficients are
      not multiples of each other.
    """
    base = sectors[0].hessian
    direction = to_laplacian(base)
    wedges = []
    for one in sectors:
        size = float(np.trace(one.hessian) / np.trace(base))
        if np.max(np.abs(one.hessian - size * base)) > SAME * np.max(np.abs(one.hessian)):
            return None
        start, end = direction @ one.corner.first, direction @ one.corner.last
        angle = float(np.angle(end / start) % (2 * np.pi)) or 2 * np.pi
        wedges.append(Wedge(float(np.angle(start)), angle, size, one))

    def follows(one: Wedge, other: Wedge) -> bool:
        turned = np.exp(1j * (one.start + one.angle)) - np.exp(1j * other.start)
        return bool(abs(turned) < SAME)

    firsts = [one for one in wedges if not any(follows(other, one) for other in wedges)]
    if len(firsts) > 1:
        return None
    chain = firsts or wedges[:1]
    while len(chain) < len(wedges):
        after = [one for one in wedges if one not in chain and follows(chain[-1], one)]
        if len(after) != 1:
            return None
        chain.append(after[0])
    return chain, not firsts


def powers_of(wedges: Sequence[Wedge], ends: tuple[bool, bool] | None) -> list[float]:
    """Return the powers of the distance that a solution may have.

    Args:
      wedges: in order.
      ends: whether u is given, rather than the flux, at the first edge and at the last; None where
        the wedges go all around.
    """

    def off(power: float) -> float:
        """0 at the powers: u and flux from the first edge to the last by a transfer matrix."""
        whole = np.eye(2)
        for wedge in wedges:
            turn, size = power * wedge.angle, power * wedge.size
            step = [[np.cos(turn), np.sin(turn) / size], [-size * np.sin(turn), np.cos(turn)]]
            whole = np.array(step) @ whole
        if ends is None:
            return float(2 - np.trace(whole))
        given, last = ends
        return float(whole[0 if last else 1, 1 if given else 0])

    tried = np.linspace(0, HIGHEST, LOOKS + 1)[1:]
    values = np.array([off(one) for one in tried])
    found = []
    for at in range(LOOKS - 1):
        if values[at] == 0:
            found.append(float(tried[at]))
        elif values[at] * values[at + 1] < 0:
            found.append(float(optimize.brentq(off, tried[at], tried[at + 1], xtol=1e-15)))
    for at in range(1, LOOKS - 1):
        if abs(values[at]) < min(abs(values[at - 1]), abs(values[at + 1])):
            lowest = optimize.minimize_scalar(
                lambda one: abs(off(one)),
                bounds=(tried[at - 1], tried[at + 1]),
                method="bounded",
                options={"xatol": 1e-12},
            )
            if lowest.fun < TOUCHES and not np.any(np.abs(np.array(found) - lowest.x) < 1e-5):
                found.append(float(lowest.x))
    return sorted(found)


def wedge_features(wedge: Wedge, powers: Sequence[float], jumps: bool) -> CornerFeatures | None:
    """Return the functions of one sector.

    Args:
      wedge: the sector.
      powers: of the distance.
      jumps: whether data on the boundary may have two values at the point.
    """
    rows = [(0.0, 1.0, 0.0, -1j)] if jumps else []
    for power in powers:
        whole = abs(power - round(power)) < WHOLE
        power = float(round(power)) if whole else power
        for square in (0.0, 1.0) if power < CORRECTED else (0.0,):
            rows += [(power, float(whole), square, part) for part in (1 + 0j, -1j)]
    if not rows:
        return None
    corner = wedge.sector.corner
    direction = to_laplacian(wedge.sector.hessian)
    direction = direction * np.exp(-1j * np.angle(direction @ corner.first))
    return CornerFeatures(corner.point, direction, wedge.angle / 2, *columns_of(rows), corner.pole)
