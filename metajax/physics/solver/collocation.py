"""A problem as equations at points: their linear parts, and the nonlinear part of the PDE.

A person states a problem in units of their choice. The solver has units of its own: the domain's
box is from -1 to 1, and the largest data and the usual coefficient are 1. So the solution does not
depend on the units of the problem.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError
from metajax.physics.pde import Boundary, Shape, namespace, on_host
from metajax.physics.solver.formulas import Formula
from metajax.physics.solver.operators import Array, At, Block, Operator, times
from metajax.physics.solver.points import (
    FLAT,
    NUDGE,
    Box,
    Face,
    box_of,
    contains,
    end_of,
    faces_of,
    picked,
    sample_faces,
    sample_inside,
)
from metajax.physics.solver.problem import EdgeData, PDEProblem, Robin
from metajax.physics.solver.values import evaluate, known_parameters, numbers_at

BOUNDARY_WEIGHT = 10.0
"""Weight of boundary data, relative to the equation."""
PROBES = 1024, 512
"""Interior and boundary points from which the units are found: always the same ones."""


class Units(NamedTuple):
    """The solver's units, measured in the person's.

    Attributes:
      box: of the coordinates.
      u: of the solution and of boundary data.
      equation: of the equation's coefficients, for derivatives by coordinates in units; the source
        and the residual have this times ``u``.
    """

    box: Box
    u: float
    equation: float


class Sampled(NamedTuple):
    """Points of a problem, in the person's units.

    Attributes:
      inside: of the domain.
      edges: for each of :attr:`PDEProblem.edges`, points of the boundary where these data hold.
      begin: where time begins.
      periodic: for each periodic coordinate, points at its lower end.
    """

    inside: Float[Array, "n d"]
    edges: tuple[Boundary, ...]
    begin: Float[Array, "n d"]
    periodic: tuple[Float[Array, "n d"], ...]


class Collocation(NamedTuple):
    """A problem at points.

    Attributes:
      blocks: its equations by kind; the first is the PDE.
      units: in which they are.
    """

    blocks: tuple[Block, ...]
    units: Units

    @property
    def box(self) -> Box:
        """The box around the domain, which is from -1 to 1 in units."""
        return self.units.box


def collocate(problem: PDEProblem, seed: int, interior: int, boundary: int) -> Collocation:
    """Take a problem at points, on the host in float64.

    The units are the same for all seeds and numbers of points.

    Args:
      problem: any that is not traced.
      seed: of the points.
      interior: points inside.
      boundary: points of the boundary, in all.

    Returns:
      The equations.

    Raises:
      ConfigError: the domain has no inside, data hold nowhere on its boundary, values are not
        finite, or the domain is not flat where time begins or coordinates are periodic.
    """
    parameters = known_parameters(problem)
    units = units_of(problem, sample_problem(problem, 0, *PROBES), parameters)
    sampled = sample_problem(problem, seed, interior, boundary)
    return Collocation(blocks_at(problem, sampled, units, parameters), units)


def sample_problem(problem: PDEProblem, seed: int, interior: int, boundary: int) -> Sampled:
    """Draw the points of a problem.

    Args:
      problem: whose domain is not traced.
      seed: of the points.
      interior: points inside.
      boundary: points of the boundary, in all.

    Returns:
      The points.

    Raises:
      ConfigError: as :func:`collocate`.
    """
    domain: Shape = on_host(problem.domain)
    rng = np.random.default_rng(seed)
    box = box_of(domain)
    if not np.isfinite(box.half).all() or not (box.half > 0).all():
        raise ConfigError("domain", problem.domain.pieces, "shapes that leave an inside")
    faces = faces_of(domain)
    names = problem.coordinates
    ends: list[tuple[str, int]] = [(name, names.index(name)) for name in problem.periodic]
    if problem.time is not None:
        ends.append(("time", names.index(problem.time)))
    closed = {axis: -1 - number for number, (_, axis) in enumerate(ends)}
    flat = [end_of(box, axis, False, piece) for axis, piece in closed.items()]
    edges = problem.edges

    def at_ends(at: Boundary) -> Array:
        """Whether points lie at an end of a periodic coordinate, or of time."""
        along = at.normals * box.half
        along = np.abs(along) / np.linalg.norm(along, axis=1, keepdims=True)
        there = (np.abs(np.abs(box.units(at.points)) - 1) < FLAT) & (along > 1 - 1e-6)
        return there[:, sorted(closed)].any(1)

    def holds(data: EdgeData, at: Boundary) -> Array:
        """Where boundary data hold. Data of a named edge also hold at the last time."""
        return np.isin(at.piece, data.pieces) & ((data.width == 2) | ~at_ends(at))

    def wanted(at: Boundary) -> Array:
        found: Array = at.piece < 0
        for data in edges:
            found |= holds(data, at)
        return found

    num_faces = used_faces(faces, edges)
    at = sample_faces(domain, box, [*num_faces, *flat], boundary, rng, wanted)
    inside = sample_inside(domain, box, faces, interior, rng)
    if not len(inside):
        raise ConfigError("domain", problem.domain.pieces, "shapes that leave an inside")
    begin: Array = np.zeros((0, len(box.half)))
    periodic: list[Array] = []
    for name, axis in ends:
        points = at.points[at.piece == closed[axis]]
        field, value = ("time", problem.time) if name == "time" else ("periodic", name)
        if not len(points):
            raise ConfigError(field, value, "a coordinate at whose lower end the domain is flat")
        if name == "time":
            begin = points
        else:
            check_period(domain, box, name, axis, points)
            periodic.append(points)
    found = []
    for data in edges:
        here = holds(data, at)
        if not here.any():
            raise ConfigError(data.kind, data.name or data.value, "data of the domain's boundary")
        one = picked(at, here)
        check_closed(problem, data, one, box)
        found.append(one)
    return Sampled(inside, tuple(found), begin, tuple(periodic))


def used_faces(faces: list[Face], edges: tuple[EdgeData, ...]) -> list[Face]:
    """The faces that have data."""
    used = {piece for data in edges for piece in data.pieces}
    return [face for face in faces if face.piece in used]


def check_period(domain: Shape, box: Box, name: str, axis: int, points: Array) -> None:
    """Reject a domain whose two ends along a coordinate are not the same."""
    step = np.zeros_like(points)
    step[:, axis] = 2 * box.half[axis]
    inner = points + step * (1 - NUDGE)
    if not contains(domain, inner).all():
        raise ConfigError("periodic", name, "a coordinate at whose two ends the domain is the same")


def check_closed(problem: PDEProblem, data: EdgeData, at: Boundary, box: Box) -> None:
    """Reject data that are given where time begins, or at the ends of a periodic coordinate."""
    units = box.units(at.points)
    for name in problem.periodic:
        if (np.abs(np.abs(units[:, problem.coordinates.index(name)]) - 1) < FLAT).all():
            expected = f"no data at the ends of {name}, as it is periodic"
            raise ConfigError(data.kind, data.name, expected)
    time = None if problem.time is None else problem.coordinates.index(problem.time)
    if time is not None and (np.abs(units[:, time] + 1) < FLAT).all():
        expected = f"initial instead, as {problem.time} is time and begins there"
        raise ConfigError(data.kind, data.name, expected)


def units_of(problem: PDEProblem, sampled: Sampled, parameters: Mapping[str, Any]) -> Units:
    """Return the units in which a problem's largest data and its usual coefficient are 1.

    Args:
      problem: any.
      sampled: points of it.
      parameters: of the problem, known.

    Returns:
      The units.
    """
    box = box_of(on_host(problem.domain))
    found = coefficients_at(problem, sampled.inside, box, parameters)
    # the median: a coefficient that is large at a few points alone does not count
    usual = [float(np.median(np.abs(term))) for term in found]
    largest = [float(np.max(np.abs(term))) for term in found]
    equation = max(usual, default=0.0) or max(largest, default=0.0) or 1.0
    plain = Units(box, 1.0, equation)
    blocks = blocks_at(problem, sampled, plain, parameters)
    known = [block.target for block in blocks]
    if blocks[0].nonlinear is not None:  # the nonlinear part at u = 0 belongs to the source
        points = blocks[0].parts[0].points
        known.append(blocks[0].nonlinear(points, 0 * points[:, 0], 0 * points))
    u = max(float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0)) for one in known)
    return Units(box, u or 1.0, equation)


def coefficients_at(
    problem: PDEProblem, points: Array, box: Box, parameters: Mapping[str, Any]
) -> list[Float[Array, " n"]]:
    """The coefficients of all terms at points, for derivatives by coordinates in units."""
    operator = operator_at(problem, points, parameters).scaled(box.half)
    found = []
    for part in operator:
        if part is not None:
            flat = part.reshape(len(points), -1)
            found += [flat[:, k] for k in range(flat.shape[1])]
    return found


def operator_at(
    problem: PDEProblem,
    points: Float[Array, "n d"],
    parameters: Mapping[str, Any],
    finite: bool = True,
) -> Operator:
    """Return the linear part of a problem's equation at points, in the person's units.

    Args:
      problem: any.
      points: in the person's units.
      parameters: of the problem.
      finite: whether to reject coefficients that are not finite.

    Returns:
      The operator.
    """
    names, at = problem.coordinates, anywhere(points)
    given = {
        term: evaluate(f"coefficients[{term!r}]", value, at, problem, parameters, finite)
        for term, value in problem.coefficients.items()
    }
    xp = namespace(points, given)
    zero = xp.zeros(len(points))

    def of(term: str) -> Array:
        return given.get(term, zero)

    gradient = hessian = None
    if any(f"u_{name}" in given for name in names):
        gradient = xp.stack([of(f"u_{name}") for name in names], 1)
    if any(f"u_{a}{b}" in given for a in names for b in names):
        # a mixed term has both of its triangles' places
        rows = [
            xp.stack([of(f"u_{a}{b}") if i <= j else zero for j, b in enumerate(names)], 1)
            for i, a in enumerate(names)
        ]
        hessian = xp.stack(rows, 1)
    return Operator(given.get("u"), gradient, hessian)


def anywhere(points: Float[Array, "n d"]) -> Boundary:
    """Points that are on no boundary, as :func:`evaluate` reads them."""
    normals: Array = np.zeros(points.shape)
    piece: Array = np.zeros(len(points), np.int64)
    return Boundary(points, normals, piece)


def blocks_at(
    problem: PDEProblem, sampled: Sampled, units: Units, parameters: Mapping[str, Any]
) -> tuple[Block, ...]:
    """Return a problem's equations at points, in units; traceable in points and parameters.

    Args:
      problem: any.
      sampled: its points, in the person's units.
      units: which ones.
      parameters: of the problem.

    Returns:
      The equations, the PDE first.
    """
    box, inside = units.box, sampled.inside
    whole = units.equation * units.u
    source = evaluate("source", problem.source, anywhere(inside), problem, parameters)
    operator = times(operator_at(problem, inside, parameters).scaled(box.half), 1 / units.equation)
    nonlinear = None
    if problem.nonlinear is not None:
        nonlinear = nonlinear_in_units(problem, units, parameters)
    at = At(box.units(inside), operator)
    blocks = [Block("equation", (at,), source / whole, 1.0, nonlinear)]
    for data, where in zip(problem.edges, sampled.edges, strict=True):
        blocks.append(edge_block(problem, data, where, units, parameters))
    if problem.time is not None:
        blocks += initial_blocks(problem, sampled.begin, units, parameters)
    for name, points in zip(problem.periodic, sampled.periodic, strict=True):
        blocks += periodic_blocks(name, problem.coordinates.index(name), points, box)
    return tuple(blocks)


def edge_block(
    problem: PDEProblem,
    data: EdgeData,
    at: Boundary,
    units: Units,
    parameters: Mapping[str, Any],
) -> Block:
    """Boundary data of one kind: u, or its derivative along the normal, or both, of size 1."""
    half, num = units.box.half, len(at.points)
    where = At(units.box.units(at.points), Operator())

    def number(key: str, value: Any) -> Array:
        name = data.kind + (f"[{data.name!r}]" if data.name else "") + key
        return evaluate(name, value, at, problem, parameters)

    flux = Operator(None, at.normals).scaled(half)
    steep = namespace(at.normals).linalg.norm(flux.gradient, axis=1)
    if isinstance(data.value, Robin):
        of_u, of_flux = number(".u", data.value.u), number(".flux", data.value.flux)
        target = number(".value", data.value.value)
        size = abs(of_u) + abs(of_flux) * steep
        xp = namespace(size)
        size = xp.where(size > 0, size, 1.0)
        operator = times(Operator(of_u) | times(flux, of_flux), 1 / size)
        # u has its unit, and du/dn that over a coordinate's, which is part of ``size``
        target = target / size
    elif data.kind == "neumann":
        operator, target = times(flux, 1 / steep), number("", data.value) / steep
    else:
        operator, target = Operator(np.ones(num)), number("", data.value)
    name = f"{data.kind} on {data.name or 'the boundary'}"
    return Block(name, (where._replace(operator=operator),), target / units.u, BOUNDARY_WEIGHT)


def initial_blocks(
    problem: PDEProblem, points: Array, units: Units, parameters: Mapping[str, Any]
) -> list[Block]:
    """What is known at the beginning: u, and its derivative by time."""
    num, box = len(points), units.box
    axis = problem.coordinates.index(str(problem.time))
    forward = np.zeros((num, len(box.half)))
    forward[:, axis] = 1.0
    blocks = []
    for name, value, operator, size in (
        ("initial", problem.initial, Operator(np.ones(num)), 1.0),
        ("initial_velocity", problem.initial_velocity, Operator(None, forward), box.half[axis]),
    ):
        if value is not None:
            target = evaluate(name, value, anywhere(points), problem, parameters) * size / units.u
            part = At(box.units(points), operator)
            blocks.append(Block(name.replace("_", " "), (part,), target, BOUNDARY_WEIGHT))
    return blocks


def periodic_blocks(name: str, axis: int, points: Array, box: Box) -> list[Block]:
    """Equal u, and equal slope, at both ends of a coordinate."""
    lower = box.units(points)
    across = np.zeros(lower.shape)
    across[:, axis] = 1.0
    upper, one = lower + 2 * across, np.ones(len(lower))
    both = [
        (f"periodic {name}", Operator(one), Operator(-one)),
        (f"periodic {name}, slope", Operator(None, across), Operator(None, -across)),
    ]
    return [
        Block(text, (At(upper, plus), At(lower, minus)), np.zeros(len(lower)), BOUNDARY_WEIGHT)
        for text, plus, minus in both
    ]


def nonlinear_in_units(
    problem: PDEProblem, units: Units, parameters: Mapping[str, Any]
) -> Callable[[Array, Array, Array], Array]:
    """Return the nonlinear part of a problem's equation as a function in the solver's units.

    Args:
      problem: which has a nonlinear part.
      units: of the points, u and its derivatives.
      parameters: of the problem.

    Returns:
      ``nonlinear(points, u, gradient) -> [n]``, with NumPy for NumPy's arrays and JAX for JAX's.
    """
    given: Any = problem.nonlinear
    box = units.box
    whole = units.equation * units.u

    def nonlinear(points: Array, u: Array, gradient: Array) -> Array:
        on_jax = namespace(points, u, gradient, parameters) is jnp
        half = box.half[None]
        where, value = box.centre[None] + half * points, units.u * u
        slope = units.u / half * gradient

        def compute() -> Any:
            if isinstance(given, Formula):
                return given(value, *slope.T, *problem.formula_inputs(where, parameters))
            more = (parameters,) if problem.parameters else ()
            return given(value, slope, tuple(where.T), *more)

        expected = "a function of u, gradient and coordinates"
        # infinite values after a Gauss-Newton step that is too long are no fault of the problem
        found = numbers_at("nonlinear", given, compute, where, expected, on_jax, finite=False)
        return found / whole

    return nonlinear
