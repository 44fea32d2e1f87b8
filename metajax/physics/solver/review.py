"""What is wrong with a problem, found before it is solved: its data, its domain, its type."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import ndimage
from scipy.spatial import cKDTree

from metajax.physics.pde import Boundary, Shape, on_host
from metajax.physics.solver.coefficient_jumps import about_unnamed
from metajax.physics.solver.collocation import (
    FLAT,
    Units,
    anywhere,
    edge_block,
    initial_blocks,
    operator_at,
    sample_problem,
    times,
    units_of,
)
from metajax.physics.solver.equation_type import about_type
from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.points import Box, Face, contains, ends_here, extent, faces_of
from metajax.physics.solver.problem import PDEProblem, Robin
from metajax.physics.solver.values import evaluate, known_parameters

OUTLINE, SOLID, CELLS, INSIDE = 8192, 16384, 400, 1024
"""What is looked at: points of the boundary of a plane domain and of a solid, cells along a side of
the box, and points inside where the operator is taken."""
TRIFLE = 0.005
"""Share of a piece that is ignored, such as its ends, where the normal belongs to no edge."""
ALONG_TIME, ACROSS = 0.7, 1e-3
"""How far a normal points along time where time begins or ends, or across a line that ends."""
ENOUGH = 1000
"""Cells of a part of the domain over which an integral is good to 1e-3."""
TURN, RING, INWARD = 0.7, 0.02, 0.55
"""A corner: the cosine between the normals on its sides, how far around it the inside is looked up
in units, and the share of it that is inside around one that points inwards."""
IMBALANCE = 0.01
"""Imbalance of source and flux that is not one of quadrature, whose error is about 1e-3."""


class Finding(NamedTuple):
    """Something wrong with a problem.

    Attributes:
      text: what, by name.
      fatal: whether no solution can be right; otherwise it may be wrong.
    """

    text: str
    fatal: bool = False


class Outline(NamedTuple):
    """The boundary of a domain at many points.

    Attributes:
      points: where, in units.
      normals: out of the domain, in units, of length 1.
      piece: the index of the piece.
      length: that each point stands for, in units; an area in three dimensions.
      value: whether u is given.
      slope: whether a derivative of u is.
      both: whether a combination of them is, and nothing else.
      closed: whether it is an end of a periodic coordinate.
      flux: ``normal . hessian . gradient of u``, NaN where it is not known.
    """

    points: Float[np.ndarray, "n d"]
    normals: Float[np.ndarray, "n d"]
    piece: np.ndarray
    length: Float[np.ndarray, " n"]
    value: Bool[np.ndarray, " n"]
    slope: Bool[np.ndarray, " n"]
    both: Bool[np.ndarray, " n"]
    closed: Bool[np.ndarray, " n"]
    flux: Float[np.ndarray, " n"]

    @property
    def any_data(self) -> Bool[np.ndarray, " n"]:
        """Where anything is known."""
        return self.value | self.slope | self.both | self.closed

    def lacking(self, part: np.ndarray, having: np.ndarray) -> np.ndarray:
        """The pieces where some points of this part lack what the others have."""
        free = np.bincount(self.piece[part & ~having], self.length[part & ~having])
        whole = np.bincount(self.piece, self.length)[: len(free)]
        return np.flatnonzero(free > TRIFLE * whole)


class Reviewed(NamedTuple):
    """What is found before a problem is solved.

    Attributes:
      findings: what is wrong; empty where nothing was found.
      edges: its boundary data at points close to each other.
      corners: of a plane domain that point inwards, in units.
      box: what units are.
    """

    findings: tuple[Finding, ...]
    edges: tuple[Block, ...]
    corners: Float[np.ndarray, "k d"]
    box: Box

    def within(self, box: Box) -> Reviewed:
        """Return the same in the units of another box, such as one of a window of time.

        Args:
          box: the other one; what lies outside it stays where it is.
        """

        def moved(part: At) -> At:
            return part._replace(points=box.units(self.box.places(part.points)))

        edges = tuple(
            block._replace(parts=tuple(moved(part) for part in block.parts)) for block in self.edges
        )
        corners = box.units(self.box.places(self.corners))
        return self._replace(edges=edges, corners=corners, box=box)


def review(problem: PDEProblem) -> Reviewed:
    """Look for what makes a problem's solution wrong, or makes it have none.

    A well-posed problem may still have a wrong solution where features cannot resolve it, so the
    solution has to be checked as well. The review looks for

    - shapes that are not part of the boundary, and data that hold nowhere;
    - pieces without the data that the equation's type needs, and time that runs the wrong way;
    - an equation that is elliptic, parabolic or hyperbolic, each in a part of the domain;
    - coefficients of second derivatives that jump along curves that the solver does not know;
    - a source that contradicts the flux through a boundary where only that is given.

    Args:
      problem: not traced.

    Returns:
      The findings, and the boundary data that were looked at.

    Raises:
      ConfigError: source or boundary data that are not finite somewhere, with the point and the
        value; boundary data that hold nowhere on the boundary.
    """
    parameters = known_parameters(problem)
    sampled = sample_problem(problem, 0, INSIDE, INSIDE)
    units = units_of(problem, sampled, parameters)
    operator = operator_at(problem, sampled.inside, parameters).scaled(units.box.half)
    operator = times(operator, 1 / units.equation)
    edge, blocks = outline(problem, units, operator)
    names = [known[-1] for known in problem.names]
    found = _hidden(problem, edge)
    domain: Shape = on_host(problem.domain)
    plane = len(units.box.half) == 2
    labels, cells = _parts(domain, units.box) if plane else (np.zeros((1, 1), int), None)
    owner = _owners(edge, labels) if plane else np.ones(len(edge.points), int)
    for component in range(1, max(labels.max(), 1) + 1):
        part = Outline(*(leaf[owner == component] for leaf in edge))
        nonlinear = problem.nonlinear is not None
        found += _type(operator, nonlinear, part, names, problem.coordinates)
        if cells is not None and not nonlinear:
            own = cells[labels.reshape(-1) == component]
            found += _balance(problem, units, operator, part, own)
    unclear = (
        about_unnamed(problem, units.box, parameters),
        about_type(problem, units.box, sampled.inside, parameters),
    )
    found += [Finding(text) for text in unclear if text is not None]
    corners = inward_corners(domain, units.box, edge) if plane else np.zeros((0, 3))
    return Reviewed(tuple(dict.fromkeys(found)), blocks, corners, units.box)


def outline(
    problem: PDEProblem, units: Units, operator: Operator
) -> tuple[Outline, tuple[Block, ...]]:
    """Return a problem's boundary, and its data, at many points.

    Args:
      problem: any.
      units: of it.
      operator: of its equation, in units, at some points.
    """
    parameters = known_parameters(problem)
    domain: Shape = on_host(problem.domain)
    box, faces = units.box, faces_of(domain)
    dimensions = len(box.half)
    each = (OUTLINE if dimensions == 2 else SOLID) // max(len(faces), 4)
    found = []
    for face in faces:
        points, normals = _along(face, each, dimensions)
        shown = ends_here(domain, box, points, normals)
        length = np.full(len(points), extent(face, box) / len(points))
        piece = np.full(len(points), face.piece)
        found.append([leaf[shown] for leaf in (points, normals, piece, length)])
    leaves: list[Any] = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    points, normals, piece, length = leaves
    at = Boundary(points, normals, piece)
    places = box.units(points)
    across = normals * box.half
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    axes = {name: problem.coordinates.index(name) for name in problem.periodic}
    closed = np.zeros(len(points), bool)
    for axis in axes.values():
        closed |= _at_end(places, across, axis)
    none = np.zeros(len(points), bool)
    kinds = {"dirichlet": none.copy(), "neumann": none.copy(), "robin": none.copy()}
    ends = closed.copy()
    blocks = []
    if problem.time is not None:
        axis = problem.coordinates.index(problem.time)
        ends |= _at_end(places, across, axis)
        begin = _at_end(places, across, axis) & (across[:, axis] < 0)
        kinds["dirichlet"] |= begin
        if problem.initial_velocity is not None:
            kinds["neumann"] |= begin
        blocks += initial_blocks(problem, points[begin], units, parameters)
    flux = np.full(len(points), np.nan)
    hessian = None if operator.hessian is None else operator.hessian[0]
    for data in problem.edges:
        here = np.isin(piece, data.pieces) & ((data.width == 2) | ~ends)
        kind = data.kind
        if isinstance(data.value, Robin) and _is_zero(data.value.u):
            kind = "neumann"
        kinds[kind] |= here
        if not here.any():
            continue
        block = edge_block(problem, data, Boundary(*(leaf[here] for leaf in at)), units, parameters)
        blocks.append(block)
        slope = block.parts[0].operator.gradient
        if kind == "neumann" and slope is not None and hessian is not None:
            through = across[here] @ ((hessian + hessian.T) / 2)
            factor = np.sum(through * slope, 1) / np.sum(slope**2, 1)
            along = np.abs(through - factor[:, None] * slope).max(1) < 1e-6 * np.abs(hessian).max()
            flux[here] = np.where(along, factor * block.target, np.nan)
    edge = Outline(
        places,
        across,
        piece,
        length,
        kinds["dirichlet"],
        kinds["neumann"],
        kinds["robin"],
        closed,
        flux,
    )
    return edge, tuple(blocks)


def inward_corners(domain: Shape, box: Box, edge: Outline) -> Float[np.ndarray, "k 2"]:
    """Return where the boundary turns by more than half a right angle, with most around it inside.

    Args:
      domain: in the plane, on the host.
      box: around it.
      edge: its boundary.
    """
    apart, index = cKDTree(edge.points).query(edge.points, min(6, len(edge.points)))
    turn = np.einsum("nd,nkd->nk", edge.normals, edge.normals[index])
    turns = np.any((turn < TURN) & (apart < 4 * edge.length[:, None]), 1)
    circle = 2 * np.pi * np.arange(64) / 64
    ring = RING * np.stack([np.cos(circle), np.sin(circle)], 1)
    found: list[np.ndarray] = []
    for point in edge.points[turns]:
        known = any(np.linalg.norm(point - other) < RING for other in found)
        if not known and np.mean(contains(domain, box.places(point + ring))) > INWARD:
            found.append(point)
    return np.reshape(found, (-1, 2))


def _along(face: Face, num: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of a face at equal steps, its ends nearly among them."""
    if dimensions == 2:
        unit = ((np.arange(num) + 0.5) / num)[:, None]
    else:
        side = int(np.sqrt(num))
        line = (np.arange(side) + 0.5) / side
        unit = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    points, normals = face.place(unit)
    return np.asarray(points), np.asarray(normals)


def _at_end(places: np.ndarray, normals: np.ndarray, axis: int) -> np.ndarray:
    """Whether points are on a side of the box across a coordinate."""
    return (np.abs(np.abs(places[:, axis]) - 1) < FLAT) & (np.abs(normals[:, axis]) > 1 - 1e-6)


def _is_zero(value: object) -> bool:
    return isinstance(value, int | float) and value == 0


def _hidden(problem: PDEProblem, edge: Outline) -> list[Finding]:
    """Shapes that no part of the boundary belongs to."""
    pieces = problem.domain.pieces
    shown = {pieces[i].shape for i in np.unique(edge.piece)}
    hidden = sorted({piece.shape for piece in pieces} - shown)
    return [
        Finding(
            f"domain: {name!r} is no part of the boundary: it lies outside, or other shapes hide it"
        )
        for name in hidden
    ]


def _parts(domain: Shape, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """The connected part of the domain that each of equal cells is in, and the cells' middles."""
    line = 2 * (np.arange(CELLS) + 0.5) / CELLS - 1
    middles = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    inside = contains(domain, box.places(middles))
    labels, _ = ndimage.label(inside.reshape(CELLS, CELLS))
    return labels, middles


def _owners(edge: Outline, labels: np.ndarray) -> np.ndarray:
    """The connected part of the domain that each boundary point is on."""
    if not labels.any():
        return np.ones(len(edge.points), int)
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    cell = 2 / CELLS
    at = ((edge.points - 0.5 * cell * edge.normals + 1) / cell).astype(int)
    column, row = np.clip(at, 0, CELLS - 1).T
    return labels[tuple(nearest[:, column, row])]


def _named(names: list[str], indices: np.ndarray) -> str:
    return ", ".join(dict.fromkeys(names[i] for i in np.unique(indices)))


def _type(
    operator: Operator,
    nonlinear: bool,
    edge: Outline,
    names: list[str],
    coordinates: tuple[str, ...],
) -> list[Finding]:
    """Whether the boundary has the data that the equation's type needs, if it has one type."""
    value, gradient, hessian = operator
    if nonlinear and (gradient is None or hessian is None) and hessian is None:
        return []
    if hessian is None:
        if gradient is None or np.ptp(gradient, 0).max() > 0:
            return []
        return _transport(edge, gradient[0], names)
    second = (hessian + np.swapaxes(hessian, 1, 2)) / 2
    size = np.abs(second).max()
    sizes = np.linalg.eigvalsh(second)
    if np.all(sizes > 0) or np.all(sizes < 0):
        free = (value is None or not np.any(value)) and not nonlinear
        return _elliptic(free, edge, names)
    flat = [k for k in range(len(coordinates)) if np.abs(second[:, k]).max() <= 1e-12 * size]
    if len(flat) == 1:
        axis = flat[0]
        others = [k for k in range(len(coordinates)) if k != axis]
        rest = np.linalg.eigvalsh(second[:, others][:, :, others])
        one_sign = np.all(rest > 0) or np.all(rest < 0)
        if one_sign and gradient is not None and np.all(gradient[:, axis]):
            rate = -np.sign(gradient[:, axis]) * np.sign(rest[:, 0])
            if np.ptp(rate) == 0:
                return _parabolic(edge, axis, float(rate[0]), names, coordinates)
            return []
        steady = gradient is None or not np.any(gradient[:, axis])
        if one_sign and steady and len(others) == 1 and not nonlinear:
            return _ordinary(edge, others[0], names, coordinates)
        return []
    off = second[:, ~np.eye(len(coordinates), dtype=bool)]
    diagonal = np.sign(np.diagonal(second, axis1=1, axis2=2))
    if not np.any(off) and np.ptp(diagonal, 0).max() == 0 and np.all(diagonal[0]):
        odd = [k for k in range(len(coordinates)) if np.sum(diagonal[0] == diagonal[0, k]) == 1]
        return _hyperbolic(edge, odd)
    return []


def _elliptic(free: bool, edge: Outline, names: list[str]) -> list[Finding]:
    everywhere = np.ones(len(edge.piece), bool)
    lacking = edge.lacking(everywhere, edge.any_data)
    named = _named(names, lacking)
    if len(lacking) and (edge.value & edge.slope).any():
        text = f"u and du/dn are both given on a part of the boundary, and neither on {named}"
        return [Finding(f"ill-posed: {text}: such a solution changes without bound with its data")]
    if len(lacking):
        return [
            Finding(f"ill-posed: no data on {named}: u is not determined by an elliptic equation")
        ]
    if free and not (edge.value | edge.both).any():
        return [
            Finding(
                "ill-posed: derivatives of u alone are given: it is determined up to a constant"
            )
        ]
    return []


def _parabolic(
    edge: Outline, axis: int, rate: float, names: list[str], coordinates: tuple[str, ...]
) -> list[Finding]:
    """Time runs along an axis, forward where ``rate`` is above 0."""
    later = edge.normals[:, axis] * np.sign(rate)
    start, end = later < -ALONG_TIME, later > ALONG_TIME
    way = f"ill-posed: time runs {'up' if rate > 0 else 'down'} along {coordinates[axis]}"
    found = []
    missing = edge.lacking(start, edge.value)
    if len(missing) and (end & edge.value).any():
        given = _named(names, edge.piece[end & edge.value])
        text = f"{way}, and u is given at the last time ({given}) rather than the first"
        found.append(
            f"{text} ({_named(names, missing)}): backward in time a solution changes without "
            "bound with its data"
        )
    elif len(missing):
        text = f"{way}, and u is not given at the first time ({_named(names, missing)})"
        found.append(f"{text}: it is not determined")
    free = edge.lacking(~start & ~end, edge.any_data)
    if len(free):
        text = f"ill-posed: no data on {_named(names, free)}"
        found.append(f"{text}: u is not determined by a parabolic equation")
    return [Finding(text) for text in found]


def _hyperbolic(edge: Outline, axes: list[int]) -> list[Finding]:
    """Any of some axes may be time, in either direction."""
    both = edge.value & edge.slope
    for axis in axes:
        along = edge.normals[:, axis]
        sides = np.abs(along) <= ALONG_TIME
        for first in (along < -ALONG_TIME, along > ALONG_TIME):
            if not len(edge.lacking(first, both)) and not len(edge.lacking(sides, edge.any_data)):
                return []
    text = "u is not determined by a wave equation: it needs u and du/dn at the first time, such as"
    return [Finding(f"ill-posed: {text} on bottom, and one of them on the sides")]


def _ordinary(
    edge: Outline, axis: int, names: list[str], coordinates: tuple[str, ...]
) -> list[Finding]:
    """An ordinary equation along every line needs data at both ends, or twice at one."""
    along = edge.normals[:, axis]
    ends = along < -ACROSS, along > ACROSS
    if any(not len(edge.lacking(end, edge.value & edge.slope)) for end in ends):
        return []
    free = edge.lacking(ends[0] | ends[1], edge.any_data)
    text = f"no data on {_named(names, free)}: u is not determined along {coordinates[axis]}"
    return [Finding(f"ill-posed: {text}")] if len(free) else []


def _transport(edge: Outline, velocity: np.ndarray, names: list[str]) -> list[Finding]:
    """What is carried along lines needs u where they begin, or where they end."""
    along = edge.normals @ velocity / np.linalg.norm(velocity)
    known = edge.value | edge.closed
    free = [edge.lacking(end, known) for end in (along < -ACROSS, along > ACROSS)]
    if not all(len(one) for one in free):
        return []
    text = f"u is not given on {_named(names, free[0])}, where lines of transport begin"
    return [Finding(f"ill-posed: {text}: it is not determined along all of them")]


def _balance(
    problem: PDEProblem,
    units: Units,
    operator: Operator,
    edge: Outline,
    cells: Float[np.ndarray, "m 2"],
) -> list[Finding]:
    """Whether the source, integrated over cells, agrees with the flux, where only that is given.

    The operator is ``L u = gradient . grad u + hessian : hess u``, with constant coefficients and a
    diagonal hessian ``c``. Times ``w = exp(sum of gradient x / c)`` it is the divergence of ``w c
    grad u``. So its integral is the flux through the boundary.
    """
    value, gradient, hessian = operator
    if hessian is None or (value is not None and np.any(value)):
        return []
    parts = [hessian] if gradient is None else [gradient, hessian]
    second = np.diagonal(hessian[0])
    mixed = np.any(hessian[0] - np.diag(second))
    if mixed or any(np.ptp(part, 0).max() > 0 for part in parts) or second.prod() <= 0:
        return []
    open_ = ~edge.closed
    if len(cells) < ENOUGH or np.isnan(edge.flux[open_]).any() or not open_.any():
        return []
    if (edge.value | edge.both)[open_].any() or not edge.slope[open_].all():
        return []
    parameters = known_parameters(problem)
    at = anywhere(units.box.places(cells))
    source = evaluate("source", problem.source, at, problem, parameters)
    source = np.asarray(source) / (units.equation * units.u)
    slope = (np.zeros(2) if gradient is None else gradient[0]) / second
    most = max((cells @ slope).max(), (edge.points @ slope).max())
    area = (2 / CELLS) ** 2
    within = np.exp(cells @ slope - most) * source * area
    through = (np.exp(edge.points @ slope - most) * edge.flux * edge.length)[open_]
    size = np.abs(within).sum() + np.abs(through).sum()
    if abs(within.sum() - through.sum()) <= IMBALANCE * size:
        return []
    text = f"source {within.sum():.4g} and flux {through.sum():.4g}, which should be equal"
    return [
        Finding(
            f"incompatible data: du/dn alone is given and contradicts the source ({text}): no u "
            "solves it",
            True,
        )
    ]
