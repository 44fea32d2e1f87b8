"""A problem at points that move with its shapes: equations that are smooth in its parameters.

What is drawn once are places: within the box around the domain, and along its curves. A hole that
moves or grows takes the points of its edge with it. Points inside lose weight towards the boundary,
so that none appears or vanishes at once when the boundary passes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float, Int32
from scipy.stats import qmc

from metajax.core import ConfigError
from metajax.physics.pde import Boundary, Field
from metajax.physics.pde.geometry import LEAST, Curves, ends_here, norm
from metajax.physics.solver.collocation import BOUNDARY_WEIGHT, Box
from metajax.physics.solver.formulas import read_formula
from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.problem import PDEProblem

FADE = 1.0
"""Over how many distances between points those inside lose their weight towards the boundary."""
KINDS = "dirichlet", "neumann", "robin"
"""Of data by pieces of the boundary."""


@register_dataclass
@dataclass(frozen=True)
class OnCurves:
    """Places along curves.

    Attributes:
      curve: indices of the domain's curves.
      along: how far along the curve, 0 to 1.
    """

    curve: Int32[Array, " n"]
    along: Float[Array, " n"]


@register_dataclass
@dataclass(frozen=True)
class Places:
    """Where a problem is taken, whatever its parameters.

    Attributes:
      interior: in units: the box around the domain is from -1 to 1.
      faces: likewise, on the faces of the box: there a problem begins or is periodic.
      pieces: by kind of data and name of a piece.
    """

    interior: Float[Array, "n d"]
    faces: Float[Array, "m e"]
    pieces: dict[str, dict[str, OnCurves]]


def draw_places(problem: PDEProblem, seed: int, interior: int, boundary: int) -> Places:
    """Choose where a problem is taken.

    Args:
      problem: with known numbers: the lengths of its curves share out the points.
      seed: of the points.
      interior: points in the box around the domain.
      boundary: points of all curves, those included that other shapes hide.

    Raises:
      ConfigError: data for a piece that the domain does not have.
    """
    dimensions = len(problem.coordinates)
    inside = 2 * sobol(dimensions, seed, interior) - 1
    faces = 2 * sobol(dimensions - 1, seed + 1, math.ceil(boundary / 4)) - 1
    pieces: dict[str, dict[str, OnCurves]] = {kind: {} for kind in KINDS}
    if any(getattr(problem, kind) for kind in KINDS):
        length = np.asarray(problem.domain.curves.length, float)
        share = np.maximum(length, LEAST * length.sum() / len(length))
        counts = np.ceil(boundary * share / share.sum()).astype(int)
        for kind in KINDS:
            for name, on in curves_of(problem, kind).items():
                middles = [(np.arange(counts[one]) + 0.5) / counts[one] for one in on]
                index = jnp.asarray(np.repeat(on, counts[on]).astype(np.int32))
                pieces[kind][name] = OnCurves(index, jnp.asarray(np.concatenate(middles)))
    return Places(jnp.asarray(inside), jnp.asarray(faces), pieces)


def sobol(dimensions: int, seed: int, num: int) -> Float[np.ndarray, "num d"]:
    """Evenly spread points of the unit cube."""
    power = math.ceil(math.log2(max(num, 2)))
    return qmc.Sobol(dimensions, rng=seed).random_base2(power)[:num]


def curves_of(problem: PDEProblem, kind: str) -> dict[str, np.ndarray]:
    """Return the indices of the curves that data of a kind hold on, by the names in the data.

    A piece takes the data of the most precise name.

    Raises:
      ConfigError: a name is that of no piece, or no piece is left for it.
    """
    data, pieces = getattr(problem, kind), problem.domain.pieces
    of_curves = np.asarray(problem.domain.curves.piece)
    best = [max(data, key=one.matches, default="") for one in pieces]
    found = {}
    for key in data:
        on = [one == key and p.matches(key) > 0 for one, p in zip(best, pieces, strict=True)]
        if not any(on):
            known = sorted({text for one in pieces for text in one.names})
            raise ConfigError(kind, key, f"pieces of the boundary, of {', '.join(known)}")
        found[key] = np.flatnonzero(np.array(on)[of_curves])
    return found


def points_on(curves: Curves, at: OnCurves) -> Boundary:
    """Return points of curves, with the normals out of the domain.

    Args:
      curves: of a domain.
      at: where.
    """
    start, span, radius, _, sign, piece = jax.tree.map(lambda leaf: leaf[at.curve], curves)
    turn = 2 * jnp.pi * at.along[:, None]
    turned = jnp.concatenate([jnp.cos(turn), jnp.sin(turn)], 1)
    length = norm(span)[:, None]
    right = jnp.stack([span[:, 1], -span[:, 0]], 1) / jnp.where(length > 0, length, 1)
    outward = jnp.where(length > 0, right, turned) * sign[:, None]
    points = start + at.along[:, None] * span + radius[:, None] * turned
    return Boundary(points, outward, piece)


def values(problem: PDEProblem, value: Any, points: Float[Array, "n d"]) -> Float[Array, " n"]:
    """Return what a person gave as coefficient or data at points."""
    if isinstance(value, str):
        value = read_formula("formula", value)
    if isinstance(value, Field):
        found = value(points)
    elif callable(value):
        more = (problem.parameters,) if problem.parameters else ()
        found = value(*points.T, *more)
    else:
        found = value
    return jnp.broadcast_to(jnp.asarray(found, points.dtype), points.shape[:1])


def box_of(problem: PDEProblem) -> Box:
    """The box around a domain."""
    lower, upper = problem.domain.bounds
    return Box((lower + upper) / 2, (upper - lower) / 2)


def blocks_at(problem: PDEProblem, places: Places) -> tuple[Block, ...]:
    """Take a problem at points, in units.

    Every kind of equation is divided by the root mean square of its operator in units, so that the
    weights between them depend on no unit.

    Args:
      problem: numbers in it may be traced.
      places: where.
    """
    box = box_of(problem)
    blocks = [equation(problem, places, box)]
    curves = problem.domain.curves if any(places.pieces.values()) else None
    for kind, named in places.pieces.items():
        for name, at in named.items():
            edge = points_on(curves, at)
            shown = ends_here(problem.domain, edge, curves).astype(edge.points.dtype)
            data = getattr(problem, kind)[name]
            operator, target = condition(problem, kind, data, edge)
            blocks.append(block(f"{kind} on {name}", box, edge.points, operator, target, shown))
    return (*blocks, *beginning(problem, places, box), *ends_meet(problem, places, box))


def equation(problem: PDEProblem, places: Places, box: Box) -> Block:
    """The equation at the points inside."""
    points = box.centre[None] + places.interior * box.half[None]
    num, dimensions = points.shape
    spacing = FADE * 2 * jnp.min(box.half) / num ** (1 / dimensions)
    depth = jnp.clip(-problem.domain.distance(points) / spacing, 0, 1)
    weight = depth**2 * (3 - 2 * depth)
    value, gradient, hessian = None, {}, {}
    for term, given in problem.coefficients.items():
        number = values(problem, given, points)
        index = [problem.coordinates.index(letter) for letter in term[2:]]
        if not index:
            value = number
        elif len(index) == 1:
            gradient[index[0]] = number
        else:
            hessian[tuple(index)] = number
    none = jnp.zeros(num, points.dtype)
    slopes = [gradient.get(one, none) for one in range(dimensions)]
    bends = [
        jnp.stack([hessian.get((one, other), none) for other in range(dimensions)], -1)
        for one in range(dimensions)
    ]
    operator = Operator(
        value,
        jnp.stack(slopes, -1) if gradient else None,
        jnp.stack(bends, -2) if hessian else None,
    )
    source = values(problem, problem.source, points)
    return block("equation", box, points, operator, source, weight, 1.0, problem)


def condition(
    problem: PDEProblem, kind: str, data: Any, edge: Boundary
) -> tuple[Operator, Float[Array, " n"]]:
    """The operator and the value of boundary data."""
    if kind == "robin":
        along = values(problem, data.flux, edge.points)[:, None] * edge.normals
        operator = Operator(values(problem, data.u, edge.points), along)
        return operator, values(problem, data.value, edge.points)
    target = values(problem, data, edge.points)
    if kind == "neumann":
        return Operator(None, edge.normals), target
    return Operator(jnp.ones_like(target)), target


def on_face(places: Places, box: Box, place: int, end: float) -> Float[Array, "m d"]:
    """Points of a face of the box: its lower end along a coordinate at -1, the upper one at 1."""
    before, after = places.faces[:, :place], places.faces[:, place:]
    fixed = jnp.full((len(places.faces), 1), end, places.faces.dtype)
    units = jnp.concatenate([before, fixed, after], 1)
    return box.centre[None] + units * box.half[None]


def derivative(place: int, like: Float[Array, "m d"]) -> Operator:
    """The derivative by one coordinate."""
    return Operator(None, jnp.zeros_like(like).at[:, place].set(1))


def beginning(problem: PDEProblem, places: Places, box: Box) -> list[Block]:
    """The initial state and velocity."""
    if problem.time is None:
        return []
    place = problem.coordinates.index(problem.time)
    points = on_face(places, box, place, -1.0)
    one = jnp.ones(len(points), points.dtype)
    later = points.at[:, place].add(1e-7 * box.half[place])
    shown = problem.domain.contains(later).astype(points.dtype)
    found = []
    for name, given, operator in (
        ("initial", problem.initial, Operator(one)),
        ("initial velocity", problem.initial_velocity, derivative(place, points)),
    ):
        if given is not None:
            target = values(problem, given, points)
            found.append(block(name, box, points, operator, target, shown))
    return found


def ends_meet(problem: PDEProblem, places: Places, box: Box) -> list[Block]:
    """What makes a problem periodic: u and its derivative agree at two faces."""
    found = []
    for coordinate in problem.periodic:
        place = problem.coordinates.index(coordinate)
        lower, upper = (on_face(places, box, place, end) for end in (-1.0, 1.0))
        one = jnp.ones(len(lower), lower.dtype)
        for name, operator in (
            (f"periodic {coordinate}", Operator(one)),
            (f"periodic u_{coordinate}", derivative(place, lower)),
        ):
            first = block(name, box, lower, operator, jnp.zeros_like(one), one)
            minus = jax.tree.map(jnp.negative, first.parts[0].operator)
            parts = (*first.parts, At(box.units(upper), minus))
            found.append(first._replace(parts=parts))
    return found


def block(
    name: str,
    box: Box,
    points: Float[Array, "n d"],
    operator: Operator,
    target: Float[Array, " n"],
    shown: Float[Array, " n"],
    weight: float = BOUNDARY_WEIGHT,
    nonlinear: PDEProblem | None = None,
) -> Block:
    """Make a block whose rows count as much as ``shown`` says, divided by the operator's size."""
    scaled = operator.scaled(box.half)
    squares = [
        jnp.sum(part.reshape(len(points), -1) ** 2, -1) for part in scaled if part is not None
    ]
    total = jnp.sum(shown**2)
    size = sum(squares, jnp.zeros_like(shown)) @ shown**2 / jnp.where(total > 0, total, 1)
    size = jnp.sqrt(jnp.where(size > 0, size, 1)) 
    factor = shown / size * jnp.sqrt(len(shown) / jnp.where(total > 0, total, 1))

    def times(part: Array) -> Array:
        return factor.reshape(-1, *[1] * (part.ndim - 1)) * part

    at = At(box.units(points), jax.tree.map(times, scaled))
    more = None
    if nonlinear is not None and nonlinear.nonlinear is not None:
        more = of_units(nonlinear, points, box, factor)
    return Block(name, (at,), factor * target, weight, more)


def of_units(problem: PDEProblem, points: Float[Array, "n d"], box: Box, factor: Array) -> Any:
    """The nonlinear part of the equation's rows, as a function of u and its gradient in units."""

    def found(_: Array, u: Float[Array, " n"], gradient: Float[Array, "n d"]) -> Array:
        more = (problem.parameters,) if problem.parameters else ()
        slopes = gradient / box.half[None]
        return factor * problem.nonlinear(u, slopes, tuple(points.T), *more)

    return found
