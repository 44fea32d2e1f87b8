"""A solution and its residual at the nodes of a grid."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from metajax.physics.pde import Shape, on_host
from metajax.physics.solver.collocation import (
    Units,
    anywhere,
    nonlinear_in_units,
    operator_at,
)
from metajax.physics.solver.operators import terms
from metajax.physics.solver.points import Box, contains, distance, unit_box
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.solution import Solution, WindowedSolution
from metajax.physics.solver.values import evaluate, known_parameters

CLOSE = 1e-6
"""How far outside a point may be and still count as one of the boundary, in units."""
NEIGHBORS = 64
"""Directions in which the inside is looked for around a point of the boundary."""


def on_grid(
    solution: Solution | WindowedSolution,
    problem: PDEProblem,
    bounds: Float[np.ndarray, "2 d"] | None,
    size: int | None,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], str | None]:
    """The solution and the residual on a grid, its nodes, and where the source is not finite."""
    domain, parameters = on_host(problem.domain), known_parameters(problem)
    box = solution.units.box
    lower, upper = (box.centre - box.half, box.centre + box.half) if bounds is None else bounds
    count = size or (129 if len(lower) == 2 else 33)
    axes = tuple(np.linspace(a, b, count) for a, b in zip(lower, upper, strict=True))
    # the last coordinate is the first axis
    mesh = np.stack(np.meshgrid(*reversed(axes), indexing="ij")[::-1], -1)
    nodes = mesh.reshape(-1, len(axes))
    inside = in_closed_domain(domain, box, nodes)
    where = nodes[inside]
    values = solution.values(where)
    at, known = anywhere(where), np.isfinite
    source = evaluate("source", problem.source, at, problem, parameters, finite=False)
    operator = operator_at(problem, where, parameters, finite=False)
    with np.errstate(all="ignore"):
        left = np.sum(terms(operator, values), 0) - source
    if problem.nonlinear is not None:
        plain = Units(unit_box(len(axes)), 1.0, 1.0)
        added = nonlinear_in_units(problem, plain, parameters)
        left = left + added(where, values.u, values.gradient)
    u, residual = np.full(len(nodes), np.nan), np.full(len(nodes), np.nan)
    u[inside], residual[inside] = values.u, left
    lacking = None
    if not known(source).all():
        node = np.flatnonzero(~known(source))[0]
        names = zip(problem.coordinates, where[node], strict=True)
        place = ", ".join(f"{name} = {number:.4g}" for name, number in names)
        lacking = f"source is {source[node]} at {place}: it has no residual there"
    return u.reshape(mesh.shape[:-1]), residual.reshape(mesh.shape[:-1]), axes, lacking


def in_closed_domain(
    domain: Shape, box: Box, points: Float[np.ndarray, "n d"]
) -> Bool[np.ndarray, " n"]:
    """Return whether points belong to a domain or its boundary.

    Args:
      domain: on the host.
      box: around it.
      points: where.
    """
    inside = contains(domain, points)
    # the distance is at most the true one, and 0 also where the boundaries of two shapes coincide
    near = np.flatnonzero(~inside & (distance(domain, points) <= CLOSE * box.half.max()))
    if len(near):
        rng = np.random.default_rng(0)
        steps = rng.standard_normal((NEIGHBORS, points.shape[1]))
        steps *= 2 * CLOSE * box.half / np.linalg.norm(steps, axis=1, keepdims=True)
        around = points[near][:, None] + steps[None]
        found = contains(domain, around.reshape(-1, points.shape[1]))
        inside[near] = found.reshape(len(near), -1).any(1)
    return inside
