"""A problem at points, more of them where its solution is hard to follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from metajax.physics.pde import Boundary, on_host
from metajax.physics.solver.collocation import (
    PROBES,
    Sampled,
    Units,
    anywhere,
    blocks_at,
    sample_problem,
    units_of,
)
from metajax.physics.solver.domain_parts import Parts, fill_parts, parts_of
from metajax.physics.solver.fitting import (
    Take,
    Use,
)
from metajax.physics.solver.interfaces import interface_blocks
from metajax.physics.solver.layers import Layer, fill_layers, layers_of
from metajax.physics.solver.operators import Block
from metajax.physics.solver.patches import Patch, patch_points
from metajax.physics.solver.points import Box, contains, inward
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.values import evaluate, known_parameters

BORDER = 2
"""Points of the boundary for each one that is added close below it."""
UNBOUNDED = 2.0
"""Size of the source close to the boundary, over that inside, up to which it counts as bounded."""
CLOSER = 12
"""Points of the boundary that are drawn for each one, of which those in patches are kept."""


class Taken(NamedTuple):
    """How a problem is taken at points.

    Attributes:
      take: takes it at some.
      units: of the points and of u.
      parts: of the domain, between interfaces; None where there are none.
      layers: along its edges.
    """

    take: Take
    units: Units
    parts: Parts | None
    layers: list[Layer]


def taker(problem: PDEProblem) -> Taken:
    """How a problem is taken at points."""
    parameters = known_parameters(problem)
    units = units_of(problem, sample_problem(problem, 0, *PROBES), parameters)
    parts = parts_of(problem, units, parameters)
    layers = layers_of(problem, units, parameters)

    def take(
        seed: int,
        inside: int,
        edge: int,
        near: Sequence[Patch] = (),
        closer: int = 0,
        use: Use = "judge",
    ) -> tuple[Block, ...]:
        sampled = sample_problem(problem, seed, inside, edge)
        if near:
            sampled = sample_closer(problem, sampled, units.box, near, (seed, edge, closer))
        if use != "spread":
            sampled = fill_layers(problem, sampled, units, layers, seed)
        if parts is not None:
            sampled = fill_parts(problem, sampled, parts, seed)
        num = len(sampled.inside)
        if use == "fit" and not near:  # points in patches say where more are needed
            sampled = fill_border(problem, sampled, units.box, seed)
        equation, *data = blocks_at(problem, sampled, units, parameters)
        # those at the border take no weight from the others
        weight = equation.weight * np.sqrt(len(sampled.inside) / num)
        blocks = (equation._replace(weight=weight), *data)
        if parts is None:
            return blocks
        return (*blocks, *interface_blocks(problem, parts, units, parameters, seed, edge))

    return Taken(take, units, parts, layers)


def fill_border(problem: PDEProblem, sampled: Sampled, box: Box, seed: int) -> Sampled:
    """Add points close below the boundary, where those inside are fewest, in its corners above all.

    Args:
      problem: whose points they are.
      sampled: points of it.
      box: what units are.
      seed: of the points.
    """
    domain, rng = on_host(problem.domain), np.random.default_rng(seed)
    num, dimensions = sampled.inside.shape
    apart = 2 / num ** (1 / dimensions)
    edges = [edge for edge in sampled.edges if len(edge.points)]
    if not edges:
        return sampled
    points, normals = (
        np.concatenate([leaf[::BORDER] for leaf in leaves])
        for leaves in ([edge.points for edge in edges], [edge.normals for edge in edges])
    )
    points = points + apart * rng.random((len(points), 1)) * inward(box, normals)
    added = points[contains(domain, points)]
    # where the source is unbounded along the boundary, these points would outweigh all others
    parameters = known_parameters(problem)
    known, there = (
        np.abs(evaluate("source", problem.source, anywhere(at), problem, parameters, finite=False))
        for at in (sampled.inside, added)
    )
    if np.max(there, initial=0.0) > UNBOUNDED * np.max(known):
        return sampled
    return sampled._replace(inside=np.concatenate([sampled.inside, added]))


def sample_closer(
    problem: PDEProblem,
    sampled: Sampled,
    box: Box,
    near: Sequence[Patch],
    counts: tuple[int, int, int],
) -> Sampled:
    """Add points around patches, inside and on the boundary.

    Args:
      problem: whose points they are.
      sampled: points of it.
      box: what units are.
      near: the patches.
      counts: the seed, points of the boundary in all, and those inside around each patch.
    """
    seed, edge, closer = counts
    domain = on_host(problem.domain)
    inside = [box.places(points) for points in patch_points(near, closer, seed)]
    inside = [points[contains(domain, points)] for points in inside]
    many = sample_problem(problem, seed + 1, 1, CLOSER * edge)

    def close(points: Any) -> np.ndarray:
        where = box.units(points)
        return np.any([patch.near(where, 3.0) for patch in near], 0)

    edges = []
    for few, more in zip(sampled.edges, many.edges, strict=True):
        here = np.flatnonzero(close(more.points))[: 2 * closer]
        pairs: Any = zip(few, more, strict=True)
        joint: Any = [np.concatenate([a, b[here]]) for a, b in pairs]
        edges.append(Boundary(*joint))
    here = np.flatnonzero(close(many.begin))[: 2 * closer]
    return sampled._replace(
        inside=np.concatenate([sampled.inside, *inside]),
        edges=tuple(edges),
        begin=np.concatenate([sampled.begin, many.begin[here]]),
    )
