"""A problem at points that move with its shapes: equations that are smooth in its parameters.

Places are drawn once: in the box around the domain, and along its curves. A hole that moves or
grows takes the points of its edge with it. Interior points lose weight towards the boundary. So
none appears or vanishes at once when the boundary passes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from metajax.core import register_dataclass
from metajax.physics.pde import Boundary, Combination, Shape, on_host
from metajax.physics.pde.geometry import ends_here, points_along
from metajax.physics.solver.collocation import (
    PROBES,
    Sampled,
    Units,
    blocks_at,
    sample_problem,
    times,
    units_of,
)
from metajax.physics.solver.operators import At, Block
from metajax.physics.solver.points import NUDGE, Box, contains, sobol
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.values import known_parameters

FADE = 1.0
"""Width of the zone at the boundary in which interior points lose weight, in distances between
points."""
MOST = 4
"""Points that are tried in the box for each point that is asked for inside."""


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
class OnSolids:
    """Places on the boundaries of solids, in units of the box around each one.

    Attributes:
      solid: indices of the solids that the domain is combined of.
      points: in their units.
      normals: in their units, of any length.
      piece: indices of the domain's pieces.
    """

    solid: Int32[Array, " n"]
    points: Float[Array, "n d"]
    normals: Float[Array, "n d"]
    piece: Int32[Array, " n"]


@register_dataclass
@dataclass(frozen=True)
class Places:
    """Where a problem is taken, whatever its parameters; points are in units of the box.

    Attributes:
      inside: all over the box around the domain.
      edges: for each of :attr:`PDEProblem.edges`.
      begin: where time begins.
      periodic: for each periodic coordinate, at its lower end.
      u: unit of the solution. Static, as is that of the equation.
      equation: unit of the equation.
    """

    inside: Float[Array, "n d"]
    edges: tuple[OnCurves | OnSolids, ...]
    begin: Float[Array, "n d"]
    periodic: tuple[Float[Array, "n d"], ...]
    u: float = field(metadata={"static": True})
    equation: float = field(metadata={"static": True})


def draw_places(problem: PDEProblem, seed: int, interior: int, boundary: int) -> Places:
    """Choose where a problem is taken.

    Args:
      problem: with known numbers.
      seed: of the points.
      interior: points inside the domain, about.
      boundary: points of the boundary, in all.

    Raises:
      ConfigError: what is wrong with the problem, as :func:`collocate` finds it.
    """
    units = units_of(problem, sample_problem(problem, 0, *PROBES), known_parameters(problem))
    sampled = sample_problem(problem, seed, interior, boundary)
    domain, box = on_host(problem.domain), units.box
    plane = len(box.half) == 2
    rng = np.random.default_rng(seed)
    tried = 2 * sobol(rng, MOST * interior, len(box.half)) - 1
    enough = np.cumsum(contains(domain, box.places(tried))) >= interior
    inside = tried[: np.argmax(enough) + 1] if enough[-1] else tried
    return Places(
        jnp.asarray(inside),
        tuple(on_curves(domain, at) if plane else on_solids(domain, at) for at in sampled.edges),
        jnp.asarray(box.units(sampled.begin)),
        tuple(jnp.asarray(box.units(points)) for points in sampled.periodic),
        units.u,
        units.equation,
    )


def on_curves(domain: Shape, at: Boundary) -> OnCurves:
    """Return where points lie on a domain's curves.

    Args:
      domain: on the host.
      at: points of its boundary.
    """
    start, span, radius, length, _, piece, axes = domain.curves
    from_start = at.points[:, None] - start
    squared = (span**2).sum(-1)
    straight = (from_start * span).sum(-1) / np.where(squared > 0, squared, 1)
    around = np.einsum("ncd,cde->nce", from_start, np.linalg.inv(axes))
    turn = np.arctan2(around[..., 1], around[..., 0]) / (2 * np.pi) % 1
    along = np.where(radius > 0, turn, np.clip(straight, 0, 1))
    circle = np.stack([np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)], -1)
    there = along[..., None] * span + radius[:, None] * np.einsum("nce,ced->ncd", circle, axes)
    apart = np.linalg.norm(from_start - there, axis=-1)
    apart = np.where((piece == at.piece[:, None]) & (length > 0), apart, np.inf)
    curve = np.argmin(apart, 1)
    chosen = along[np.arange(len(curve)), curve]
    return OnCurves(jnp.asarray(curve.astype(np.int32)), jnp.asarray(chosen))


def solids_of(domain: Shape) -> list[Shape]:
    """Return the solids that a domain is combined of, in the order of its pieces."""
    if isinstance(domain, Combination):
        return solids_of(domain.first) + solids_of(domain.second)
    return [domain]


def on_solids(domain: Shape, at: Boundary) -> OnSolids:
    """Return where points lie on the solids that a domain is combined of.

    Args:
      domain: on the host.
      at: points of its boundary.
    """
    solids = solids_of(domain)
    solid = np.repeat(np.arange(len(solids)), [len(one.pieces) for one in solids])[at.piece]
    lower, upper = np.moveaxis(np.stack([np.asarray(one.bounds) for one in solids]), 1, 0)
    half = ((upper - lower) / 2)[solid]
    points = (at.points - ((lower + upper) / 2)[solid]) / half
    # normals are divided by what points are multiplied by
    parts = (solid.astype(np.int32), points, at.normals * half, at.piece.astype(np.int32))
    return OnSolids(*map(jnp.asarray, parts))


def moved_with(domain: Shape, place: OnSolids) -> Boundary:
    """Return points that move with the solids of a domain whose sizes may be traced.

    Args:
      domain: combined of the same solids as before.
      place: where on them.
    """
    lower, upper = jnp.moveaxis(jnp.stack([one.bounds for one in solids_of(domain)]), 1, 0)
    half = ((upper - lower) / 2)[place.solid]
    normals = place.normals / half
    normals = normals / jnp.linalg.norm(normals, axis=1, keepdims=True)
    points = ((lower + upper) / 2)[place.solid] + half * place.points
    return Boundary(points, normals, place.piece)


def box_around(domain: Shape) -> Box:
    """Return the box around a domain whose sizes may be traced.

    Args:
      domain: any.
    """
    lower, upper = domain.bounds
    return Box((lower + upper) / 2, (upper - lower) / 2)


def moving_blocks(problem: PDEProblem, places: Places) -> tuple[Block, ...]:
    """Take a problem at points, in units.

    Args:
      problem: numbers in it may be traced.
      places: where.
    """
    domain, box = problem.domain, box_around(problem.domain)
    inside = box.places(places.inside)
    spacing = FADE * 2 * jnp.min(box.half) / len(inside) ** (1 / inside.shape[1])
    depth = jnp.clip(-domain.distance(inside) / spacing, 0, 1)
    # three times differentiable, so that second derivatives by shapes exist and are smooth
    weights = [depth**4 * (35 - 84 * depth + 70 * depth**2 - 20 * depth**3)]
    edges = []
    for place in places.edges:
        if isinstance(place, OnSolids):
            edge = moved_with(domain, place)
            step = NUDGE * jnp.min(box.half) * edge.normals
            ends = domain.contains(edge.points - step) & ~domain.contains(edge.points + step)
            shown = ends.astype(depth.dtype)
        else:
            edge = points_along(domain.curves, place.curve, place.along)
            shown = ends_here(domain, edge, domain.curves).astype(depth.dtype)
        edges.append(edge)
        weights.append(shown)
    periodic = tuple(box.places(points) for points in places.periodic)
    sampled = Sampled(inside, tuple(edges), box.places(places.begin), periodic)
    units = Units(box, places.u, places.equation)
    blocks = blocks_at(problem, sampled, units, problem.parameters)
    weighted = [weigh(*pair) for pair in zip(blocks, weights, strict=False)]
    return (*weighted, *blocks[len(weights) :])


def weigh(block: Block, weight: Float[Array, " n"]) -> Block:
    """Weight the rows of a block by the squares of weights, with the same total weight."""
    total = jnp.sum(weight**2)
    factor = weight * jnp.sqrt(len(weight) / jnp.where(total > 0, total, 1))
    parts = tuple(At(at.points, times(at.operator, factor)) for at in block.parts)
    given = block.nonlinear

    def nonlinear(points: Array, u: Array, gradient: Array) -> Array:
        return factor * given(points, u, gradient)

    return block._replace(
        parts=parts,
        target=factor * block.target,
        nonlinear=None if given is None else nonlinear,
    )
