"""Find straight lines and circles at which functions of the plane jump."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from metajax.core import float64_on_cpu
from metajax.physics.pde import Boundary, Disk, Polygon, Shape, on_host
from metajax.physics.solver.points import Box, Face, ends_here, faces_of, inward
from metajax.physics.solver.problem import PDEProblem, Robin, Value
from metajax.physics.solver.values import evaluate, known_parameters

LINES, NODES = 33, 128
"""Lines along each axis on which jumps are looked for, and nodes of each."""
EDGE_NODES, AWAY = 257, np.sqrt(2) / 257
"""Nodes along each curve of the boundary, and by how much those of a closed one begin later."""
STEEP, SHARE = 3.0, 0.02
"""Least ratio of a jump to the steps next to it, and to the range of the function."""
ROUNDED = 1e-9
"""Least jump relative to the largest value; less may be rounding."""
HALVINGS = 42
"""Halvings of a step that place a jump."""
STAYS = 0.5
"""Share of a step that is left at the end where a function jumps; a steep one has none left."""
EXACT = 1e-9
"""Distance of a jump from a curve that it lies on, in units."""
TRIALS, FEWEST, MOST = 200, 8, 6
"""Curves that are tried, jumps that one has at least, and curves at most."""
FAR = 3.0
"""Length in units that is more than the box's diagonal."""

Plane = Float[np.ndarray, "n 2"]
Curve = tuple[str, np.ndarray]
"""``line`` with a point and a normal, or ``circle`` with a center and, in both places, a radius."""


def find_jumps(
    seen: Callable[[Plane], Float[np.ndarray, "n q"]],
    part: Callable[[Plane], np.ndarray],
    box: Box,
) -> tuple[list[tuple[str, Shape]], Plane]:
    """Find lines and circles at which functions jump.

    Args:
      seen: the functions, of points in units.
      part: of which part of the domain a point is; below 0 outside. Jumps between two parts are
        known, and those at the boundary do not count.
      box: what units are.

    Returns:
      The curves as shapes in the person's units, which they bound, with names for messages; and
      places of other jumps, in units.
    """
    points = places_of_jumps(seen, part)
    # a circle is one in the person's units
    even = box.half / np.max(box.half)
    found: list[tuple[str, Shape]] = []
    for kind, through in (("line", 2), ("circle", 3)):
        rng = np.random.default_rng(0)
        while len(points) >= FEWEST and len(found) < MOST:
            where = points if kind == "line" else points * even
            on, curve = best_curve(where, through, rng)
            if np.count_nonzero(on) < FEWEST:
                break
            found.append(as_shape(curve, box, even))
            points = points[~on]
    return found, points


def places_of_jumps(
    seen: Callable[[Plane], Float[np.ndarray, "n q"]],
    part: Callable[[Plane], np.ndarray],
    axes: Sequence[int] = (0, 1),
) -> Plane:
    """Return points at which functions jump, to rounding, on lines.

    Args:
      seen: as :func:`find_jumps` takes it.
      part: likewise.
      axes: along which there are lines.
    """
    along = np.linspace(-1, 1, NODES)
    across = np.linspace(-1, 1, LINES + 1)[1:] - (np.sqrt(2) - 1) / LINES
    mesh = np.stack(np.meshgrid(across, along, indexing="ij"), -1)
    lines = np.concatenate([mesh[..., ::-1] if axis == 0 else mesh for axis in axes])
    nodes = lines.reshape(-1, 2)
    where = part(nodes)
    values = np.where((where >= 0)[:, None], seen(nodes), 0.0)
    size = np.ptp(values[where >= 0], axis=0) if np.any(where >= 0) else np.zeros(values.shape[1])
    where, values = where.reshape(len(lines), NODES), values.reshape(len(lines), NODES, -1)
    same = (where[:, 1:] == where[:, :-1]) & (where[:, 1:] >= 0)
    steps = np.where(same[..., None], np.abs(np.diff(values, axis=1)), 0.0)
    around = np.pad(steps, ((0, 0), (1, 1), (0, 0)))
    neighbors = np.maximum(around[:, 2:], around[:, :-2])
    largest = np.max(np.abs(values), axis=(0, 1))
    jumping = (steps > np.maximum(SHARE * size, STEEP * neighbors)) & (steps > ROUNDED * largest)
    line, node, quantity = np.nonzero(jumping)
    stays, places = halved(seen, lines[line, node], lines[line, node + 1], quantity)
    return np.unique(places[stays], axis=0)


def halved(
    seen: Callable[[Plane], Float[np.ndarray, "n q"]],
    low: Float[np.ndarray, "m d"],
    high: Float[np.ndarray, "m d"],
    quantity: Int[np.ndarray, " m"],
) -> tuple[Bool[np.ndarray, " m"], Float[np.ndarray, "m d"]]:
    """Halve steps, of which each keeps the half with the larger change.

    Args:
      seen: the functions.
      low: where steps begin.
      high: where they end.
      quantity: of which function each is.

    Returns:
      Whether the function jumps there, and where.
    """
    if not len(low):
        return np.zeros(0, bool), low
    pick = np.arange(len(low)), quantity
    below, above = seen(low)[pick], seen(high)[pick]
    first = np.abs(above - below)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        value = seen(middle)[pick]
        lower = np.abs(value - below) > np.abs(above - value)
        high, above = np.where(lower[:, None], middle, high), np.where(lower, value, above)
        low, below = np.where(lower[:, None], low, middle), np.where(lower, below, value)
    return np.abs(above - below) > STAYS * first, (low + high) / 2


class EdgeJump(NamedTuple):
    """A place of the boundary at which data of one piece jump.

    Attributes:
      point: in units.
      tangent: of the boundary, in units, so that the inside is to the left.
      given: whether u jumps, rather than its derivative.
    """

    point: Float[np.ndarray, "2"]
    tangent: Float[np.ndarray, "2"]
    given: bool


def edge_jumps(problem: PDEProblem, box: Box) -> list[EdgeJump]:
    """Find where boundary data of one piece jump.

    Args:
      problem: in the plane.
      box: around its domain.
    """
    domain, parameters = on_host(problem.domain), known_parameters(problem)
    found = []
    for face in faces_of(domain):
        closed = np.allclose(face.place(np.zeros((1, 1)))[0], face.place(np.ones((1, 1)))[0])
        nodes = np.linspace(0, 1, EDGE_NODES)[:, None] + (AWAY if closed else 0.0)
        for data in problem.edges:
            value = data.value.value if isinstance(data.value, Robin) else data.value
            if face.piece not in data.pieces or isinstance(value, int | float):
                continue

            seen = partial(seen_along, problem, parameters, data.kind, value, face)
            line = seen(nodes)[:, 0]
            steps = np.abs(np.diff(line))
            around = np.pad(steps, 1)
            neighbors = np.maximum(around[2:], around[:-2])
            node = np.flatnonzero(
                (steps > np.maximum(SHARE * np.ptp(line), STEEP * neighbors))
                & (steps > ROUNDED * np.max(np.abs(line)))
            )
            stays, unit = halved(seen, nodes[node], nodes[node + 1], np.zeros(len(node), np.int64))
            for place in unit[stays]:
                points, normals = face.place(place[None])
                at_edge = ends_here(domain, box, points, normals)
                if at_edge[0]:
                    inside = inward(box, normals)[0]
                    tangent = np.array([inside[1], -inside[0]])
                    given = data.kind == "dirichlet"
                    found.append(EdgeJump(box.units(points)[0], tangent, given))
    return found


def seen_along(
    problem: PDEProblem,
    parameters: Mapping[str, Any],
    kind: str,
    value: Value,
    face: Face,
    unit: Float[np.ndarray, "n 1"],
) -> Float[np.ndarray, "n 1"]:
    """Boundary data at places of a face; 0 where they are not finite."""
    points, normals = face.place(unit)
    piece: Any = np.full(len(points), face.piece)
    at = Boundary(points, normals, piece)
    return np.nan_to_num(evaluate(kind, value, at, problem, parameters, finite=False))[:, None]


def best_curve(
    points: Plane, through: int, rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " n"], Curve]:
    """Return which points lie on the line (through 2) or circle (through 3) with most of them."""
    best = np.zeros(len(points), bool)
    curve: Curve = ("line", np.zeros((2, 2)))
    for _ in range(TRIALS):
        chosen = points[rng.choice(len(points), through, replace=False)]
        tried = line_through(chosen) if through == 2 else circle_through(chosen)
        if tried is None:
            continue
        on = apart(points, tried) < EXACT
        if np.count_nonzero(on) > np.count_nonzero(best):
            best, curve = on, tried
    return best, curve


def line_through(points: Plane) -> Curve | None:
    """The line through two points; None where they are too close."""
    span = points[1] - points[0]
    length = np.linalg.norm(span)
    if length < 0.1:
        return None
    return "line", np.array([points[0], [-span[1] / length, span[0] / length]])


def circle_through(points: Plane) -> Curve | None:
    """The circle through three points; None where they are nearly on a line."""
    rows = 2 * (points[1:] - points[:1])
    if abs(np.linalg.det(rows)) < 1e-3 * np.linalg.norm(rows[0]) * np.linalg.norm(rows[1]):
        return None
    center = np.linalg.solve(rows, np.sum(points[1:] ** 2 - points[:1] ** 2, 1))
    radius = np.linalg.norm(points[0] - center)
    return "circle", np.array([center, [radius, radius]])


def apart(points: Plane, curve: Curve) -> Float[np.ndarray, " n"]:
    """How far points are from a curve."""
    kind, (first, second) = curve
    if kind == "line":
        return np.abs((points - first) @ second)
    return np.abs(np.linalg.norm(points - first, axis=1) - second[0])


def as_shape(curve: Curve, box: Box, even: Float[np.ndarray, "2"]) -> tuple[str, Shape]:
    """A curve as the boundary of a shape: a disk, or what is on one side of a line in the box."""
    kind, (first, second) = curve
    if kind == "circle":
        center = box.places(first / even)
        with float64_on_cpu():
            disk = on_host(Disk(center, second[0] * np.max(box.half)))
        return f"the circle around {shown(center)}", disk
    foot = second * (first @ second)  # the point of the line that is nearest to the box's center
    along = FAR * np.array([-second[1], second[0]])
    corners = np.array([foot - along, foot + along, foot + along, foot - along])
    corners[2:] += 2 * FAR * second
    with float64_on_cpu():
        half = on_host(Polygon(box.places(corners)))
    return f"the line through {shown(box.places(foot))}", half


def shown(point: Float[np.ndarray, "2"]) -> str:
    """A point in words."""
    return "(" + ", ".join(f"{one:.4g}" for one in np.round(point, 12) + 0.0) + ")"
