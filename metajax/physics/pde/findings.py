"""What is wrong with a problem, found before it is solved: its data, its domain, its type."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from scipy import ndimage

from metajax.core import ConfigError, cast_floats, float64_on_cpu
from metajax.physics.pde.closure import outline
from metajax.physics.pde.equation import PDE, Condition
from metajax.physics.pde.fields import Field
from metajax.physics.pde.geometry import Boundary, Piece, Shape
from metajax.physics.pde.sampling import sample_points, values_at, values_on

OUTLINE, CELLS, NEAR = 16384, 400, (4096, 2048)
"""What is looked at: points of the boundary, cells along a side, points inside and on the edge."""
TRIFLE = 0.005
"""Share of a piece that is left out of account: ends of it where the normal is that of no edge."""
ALONG_TIME, ACROSS = 0.7, 1e-3
"""How far a normal points along time where time begins or ends, or across a line that ends."""
ENOUGH = 1000
"""Cells of a part of the domain over which an integral is good to 1e-3."""
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
    """The boundary at many points, as NumPy arrays.

    Attributes:
      points: where.
      normals: out of the domain.
      piece: the index of the piece.
      length: that each point stands for.
      dirichlet: whether u is given.
      neumann: whether du/dn is.
      flux: du/dn, 0 where it is not given.
    """

    points: Float[np.ndarray, "n 2"]
    normals: Float[np.ndarray, "n 2"]
    piece: np.ndarray
    length: Float[np.ndarray, " n"]
    dirichlet: Bool[np.ndarray, " n"]
    neumann: Bool[np.ndarray, " n"]
    flux: Float[np.ndarray, " n"]

    def lacking(self, part: np.ndarray, having: np.ndarray) -> np.ndarray:
        """The pieces of which some of this part does not have something."""
        free = np.bincount(self.piece[part & ~having], self.length[part & ~having])
        whole = np.bincount(self.piece, self.length)[: len(free)]
        return np.flatnonzero(free > TRIFLE * whole)


def review(pde: PDE) -> tuple[Finding, ...]:
    """Look for what makes a problem's solution wrong, or makes it have none.

    A problem may be fine and its solution still be wrong where it cannot be resolved: what a solver
    finds has to be looked at as well. What is looked for is

    - shapes that are not part of the boundary, and parts of the domain outside of the square from
      -1 to 1;
    - pieces without the data that the equation's type needs, and time that runs the wrong way;
    - a source that contradicts the flux through a boundary where only that is given.

    Args:
      pde: not traced.

    Returns:
      The findings, empty where nothing was found.

    Raises:
      ConfigError: source or boundary data that are not finite somewhere, with the point and the
        value; boundary data of which none stand on the boundary.
    """
    with float64_on_cpu():
        exact = cast_floats(jax.tree.map(np.asarray, pde), np.float64)
        at, length = _look(exact.domain, OUTLINE)
        cells, inside, area = _cells(exact.domain)
        source = _checked_source(exact.source, cells, inside)
        edge = _outline(exact, at, length)
        for name in ("dirichlet", "neumann"):
            for where, shown in ((at, np.asarray(length) > 0), _corners(exact.domain, edge)):
                _check_boundary(name, getattr(exact, name), exact.domain.pieces, where, shown)
        hidden = _hidden(exact, edge)
        # cells may miss narrow parts
        points = sample_points(exact, jax.random.key(0), *NEAR)
        _check_finite("source", np.asarray(points.source), np.asarray(points.interior))
        found = [*hidden, *_outside(exact.domain.pieces, edge)]
        labels, count = ndimage.label(inside.reshape(CELLS, CELLS))
        owner = _owners(edge, labels, exact.domain)
        for component in range(1, max(count, 1) + 1):
            part = Outline(*(leaf[owner == component] for leaf in edge))
            own = labels.reshape(-1) == component
            found += _type(np.asarray(exact.coefficients), part, exact.domain.pieces)
            found += _balance(exact, part, cells[own], area * source[own])
    return tuple(dict.fromkeys(found))


_look = jax.jit(outline, static_argnums=1)


def _cells(domain: Shape) -> tuple[np.ndarray, np.ndarray, float]:
    """The middles of equal cells in the domain's box, which are inside, and a cell's area."""
    lower, upper = np.asarray(domain.bounds)
    unit = (np.arange(CELLS) + 0.5) / CELLS
    x, y = np.meshgrid(*(lower + (upper - lower) * unit[:, None]).T)
    middles = np.stack([x, y], -1).reshape(-1, 2)
    return middles, np.asarray(_contains(domain, middles)), np.prod((upper - lower) / CELLS)


@jax.jit
def _contains(domain: Shape, points: Array) -> Array:
    return domain.contains(points)


def _corners(domain: Shape, edge: Outline) -> tuple[Boundary, np.ndarray]:
    """The ends of the boundary's segments, and which of them are on the domain's boundary."""
    curves = domain.curves
    ends = jnp.concatenate([curves.start, curves.start + curves.span])
    straight = np.tile(np.asarray((curves.radius == 0) & (curves.length > 0)), 2)
    at = Boundary(ends, jnp.zeros_like(ends), jnp.tile(curves.piece, 2))
    near = [
        np.any(np.hypot(*(edge.points[edge.piece == piece] - end).T) <= edge.length.max())
        for end, piece in zip(np.asarray(ends), np.asarray(at.piece), strict=True)
    ]
    return at, np.array(near) & straight


def _checked_source(source: Field, points: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The source at points, those inside looked through."""
    # all of them: the shape is that of every problem, so nothing is compiled for this one
    value = np.asarray(values_at(source, jnp.asarray(points)))
    _check_finite("source", value[inside], points[inside])
    return value


def _check_boundary(
    name: str,
    conditions: tuple[Condition, ...],
    pieces: tuple[Piece, ...],
    at: Boundary,
    shown: np.ndarray,
) -> None:
    for condition in conditions:
        here = shown & np.asarray(condition.pieces)[np.asarray(at.piece)]
        value = np.asarray(values_on(condition.value, at))
        for number in np.unique(np.asarray(at.piece)[here]):
            field = f"{name}[{pieces[number].names[-1]!r}]"
            on = here & (np.asarray(at.piece) == number)
            _check_finite(field, value[on], np.asarray(at.points)[on])


def _check_finite(field: str, value: np.ndarray, points: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(value))
    if len(bad):
        x, y = points[bad[0]]
        found = f"{value[bad[0]]} at x = {x:.4g}, y = {y:.4g}"
        raise ConfigError(field, found, "a finite number everywhere in the domain and on its edge")


def _outline(pde: PDE, at: Boundary, length: Array) -> Outline:
    keep = np.asarray(length) > 0
    piece = np.asarray(at.piece)
    flux, masks = np.zeros(len(piece)), []
    for conditions in (pde.dirichlet, pde.neumann):
        mask = np.zeros(len(piece), bool)
        for condition in conditions:
            here = np.asarray(condition.pieces)[piece]
            mask |= here
            if conditions is pde.neumann:
                flux = np.where(here, np.asarray(values_on(condition.value, at)), flux)
        masks.append(mask)
    dirichlet, neumann = masks
    points, normals = np.asarray(at.points)[keep], np.asarray(at.normals)[keep]
    given = dirichlet[keep], neumann[keep], flux[keep]
    return Outline(points, normals, piece[keep], np.asarray(length)[keep], *given)


def _hidden(pde: PDE, edge: Outline) -> list[Finding]:
    """Shapes, and boundary data, that no part of the boundary belongs to."""
    pieces = pde.domain.pieces
    curves = pde.domain.curves
    there = {pieces[i].shape for i in np.asarray(curves.piece)[np.asarray(curves.length) > 0]}
    shown = {pieces[i].shape for i in np.unique(edge.piece)}
    texts = [
        f"domain: {name!r} is no part of the boundary: it lies outside, or other shapes hide it"
        for name in sorted(there - shown)
    ]
    lost, given = [], False
    for name in ("dirichlet", "neumann"):
        for condition in getattr(pde, name):
            on = np.asarray(condition.pieces)
            # a name that was given on purpose, rather than what is left of a more precise one
            if on[edge.piece].any():
                given = True
            elif on.any():
                lost.append((name, sorted({pieces[i].names[-1] for i in np.flatnonzero(on)})))
    if not given:
        name, where = lost[0] if lost else ("dirichlet", None)
        raise ConfigError(name, where, "data on a part of the domain's boundary")
    texts += [
        f"{name}: no data are used of {', '.join(where)}, which is no part of the boundary"
        for name, where in lost
    ]
    return [Finding(text) for text in texts]


def _outside(pieces: tuple[Piece, ...], edge: Outline) -> list[Finding]:
    """What reaches out of the square from -1 to 1."""
    beyond = np.abs(edge.points).max(1) > 1 + 1e-6
    if not beyond.any():
        return []
    (left, bottom), (right, top) = edge.points.min(0), edge.points.max(0)
    names = _named(pieces, edge.piece[beyond], whole=True)
    return [
        Finding(
            f"domain: {names} reaches out of the square from -1 to 1: the domain lies between "
            f"({left:.4g}, {bottom:.4g}) and ({right:.4g}, {top:.4g}), and the solution is given "
            "inside the square alone"
        )
    ]


def _owners(edge: Outline, labels: np.ndarray, domain: Shape) -> np.ndarray:
    """The connected part of the domain, of cells with numbers, that each boundary point is on."""
    if not labels.any():
        return np.ones(len(edge.points), int)
    lower, upper = np.asarray(domain.bounds)
    cell = (upper - lower) / CELLS
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    column, row = np.clip(
        ((edge.points - 0.5 * cell * edge.normals - lower) / cell).astype(int), 0, CELLS - 1
    ).T
    return labels[tuple(nearest[:, row, column])]


def _named(pieces: tuple[Piece, ...], indices: np.ndarray, *, whole: bool = False) -> str:
    """Names of pieces, or of the ``whole`` shapes."""
    known = [pieces[i] for i in np.unique(indices)]
    return ", ".join(dict.fromkeys(one.names[0] if whole else one.names[-1] for one in known))


def _type(coefficients: np.ndarray, edge: Outline, pieces: tuple[Piece, ...]) -> list[Finding]:
    """Whether the boundary has the data that the equation's type needs."""
    _, c_x, c_y, c_xx, c_yy = coefficients
    if c_xx * c_yy > 0:
        return _elliptic(coefficients, edge, pieces)
    if c_xx * c_yy < 0:
        return _hyperbolic(edge)
    if c_xx and c_y:
        return _parabolic(edge, 1, -c_xx / c_y, pieces)
    if c_yy and c_x:
        return _parabolic(edge, 0, -c_yy / c_x, pieces)
    if c_xx or c_yy:
        return _ordinary(edge, 0 if c_xx else 1, pieces)
    if c_x or c_y:
        return _transport(edge, np.array([c_x, c_y]), pieces)
    return []


def _elliptic(coefficients: np.ndarray, edge: Outline, pieces: tuple[Piece, ...]) -> list[Finding]:
    everywhere = np.ones(len(edge.piece), bool)
    free = edge.lacking(everywhere, edge.dirichlet | edge.neumann)
    names = _named(pieces, free)
    if len(free) and (edge.dirichlet & edge.neumann).any():
        text = f"u and du/dn are both given on a part of the boundary, and neither on {names}"
        return [Finding(f"{text}: such a solution changes without bound with its data")]
    if len(free):
        return [Finding(f"no data on {names}: u is not determined by an elliptic equation")]
    if not edge.dirichlet.any() and not coefficients[0]:
        return [Finding("du/dn alone is given: u is determined up to a constant")]
    return []


def _parabolic(edge: Outline, axis: int, rate: float, pieces: tuple[Piece, ...]) -> list[Finding]:
    """Time runs along an axis, forward where ``rate`` is above 0."""
    later = edge.normals[:, axis] * np.sign(rate)
    start, end = later < -ALONG_TIME, later > ALONG_TIME
    way = f"time runs {'up' if rate > 0 else 'down'} along {'xy'[axis]}"
    found = []
    missing = edge.lacking(start, edge.dirichlet)
    if len(missing) and (end & edge.dirichlet).any():
        given = _named(pieces, edge.piece[end & edge.dirichlet])
        text = f"{way}, and u is given at the last time ({given}) rather than the first"
        found.append(
            f"{text} ({_named(pieces, missing)}): backward in time a solution changes without "
            "bound with its data"
        )
    elif len(missing):
        text = f"{way}, and u is not given at the first time ({_named(pieces, missing)})"
        found.append(f"{text}: it is not determined")
    free = edge.lacking(~start & ~end, edge.dirichlet | edge.neumann)
    if len(free):
        names = _named(pieces, free)
        found.append(f"no data on {names}: u is not determined by a parabolic equation")
    return [Finding(text) for text in found]


def _hyperbolic(edge: Outline) -> list[Finding]:
    """Either axis may be time, in either direction."""
    any_data, both = edge.dirichlet | edge.neumann, edge.dirichlet & edge.neumann
    for axis in (1, 0):
        along = edge.normals[:, axis]
        sides = np.abs(along) <= ALONG_TIME
        for first in (along < -ALONG_TIME, along > ALONG_TIME):
            if not len(edge.lacking(first, both)) and not len(edge.lacking(sides, any_data)):
                return []
    text = "u is not determined by a wave equation: it needs u and du/dn at the first time, such as"
    return [Finding(f"{text} on bottom, and one of them on the sides")]


def _ordinary(edge: Outline, axis: int, pieces: tuple[Piece, ...]) -> list[Finding]:
    """An ordinary equation along every line needs data at both ends, or twice at one."""
    along = edge.normals[:, axis]
    ends = along < -ACROSS, along > ACROSS
    if any(not len(edge.lacking(end, edge.dirichlet & edge.neumann)) for end in ends):
        return []
    free = edge.lacking(ends[0] | ends[1], edge.dirichlet | edge.neumann)
    names = _named(pieces, free)
    text = f"no data on {names}: u is not determined along {'xy'[axis]}"
    return [Finding(text)] if len(free) else []


def _transport(edge: Outline, velocity: np.ndarray, pieces: tuple[Piece, ...]) -> list[Finding]:
    """What is carried along lines needs u where they begin, or where they end."""
    along = edge.normals @ velocity / np.hypot(*velocity)
    free = [edge.lacking(end, edge.dirichlet) for end in (along < -ACROSS, along > ACROSS)]
    if not all(len(one) for one in free):
        return []
    text = f"u is not given on {_named(pieces, free[0])}, where lines of transport begin"
    return [Finding(f"{text}: it is not determined along all of them")]


def _balance(pde: PDE, edge: Outline, cells: np.ndarray, source: np.ndarray) -> list[Finding]:
    """Whether the source, integrated over cells, agrees with the flux, where only that is given.

    ``L u = c2 u_x + c3 u_y + c4 u_xx + c5 u_yy`` times ``w = exp(c2 x / c4 + c3 y / c5)`` is the
    divergence of ``w (c4 u_x, c5 u_y)``. So its integral is that through the boundary. There
    ``c4 u_x n_x + c5 u_y n_y`` is ``(c4 n_x^2 + c5 n_y^2) du/dn`` if c4 = c5 or n is along an axis.
    """
    c_u, c_x, c_y, c_xx, c_yy = np.asarray(pde.coefficients)
    slanted = np.abs(np.prod(edge.normals, 1)) > 1e-6
    alone = edge.neumann.all() and not edge.dirichlet.any()
    if c_u or c_xx * c_yy <= 0 or not alone or (c_xx != c_yy and slanted.any()):
        return []
    if len(cells) < ENOUGH:
        return []
    slope = np.array([c_x / c_xx, c_y / c_yy])
    most = max((cells @ slope).max(), (edge.points @ slope).max())
    within = np.exp(cells @ slope - most) * source
    through = np.exp(edge.points @ slope - most) * edge.flux * edge.length
    through *= edge.normals**2 @ np.array([c_xx, c_yy])
    size = np.abs(within).sum() + np.abs(through).sum()
    if abs(within.sum() - through.sum()) <= IMBALANCE * size:
        return []
    text = f"source {within.sum():.4g} and flux {through.sum():.4g}, which should be equal"
    return [
        Finding(f"du/dn alone is given and contradicts the source ({text}): no u solves it", True)
    ]
