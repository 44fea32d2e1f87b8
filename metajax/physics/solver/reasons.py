"""Why a solution may be wrong: what its residual, its data and its free directions look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from metajax.physics.solver.estimate import Estimate, Residual
from metajax.physics.solver.operators import Block
from metajax.physics.solver.points import written

NEAR = 0.15
"""How far around a place its residual counts, in units."""
MOST, CONCENTRATED = 0.4, 1.5
"""Share of the residual, or of the source, around a place for it to be named; and how many times as
large as elsewhere the residual is around a corner that is named."""
JUMP, SMOOTH, MOST_JUMPS = 0.1, 0.5, 4096
"""A jump of data: its share of their range at least, the share of it by which they may change on
its sides, and how many places are looked at."""
SENSITIVE = 1e4
"""Change of u, for a change of equation and data by 1, above which they hardly determine it.

It is .4 to 20 for most problems that determine their solution and up to 2e3 for waves, 1e4 or more
for heat backward in time, and 1e7 or more at a resonance, with initial data missing, or without
data on a side.
"""
CONSTANT = 0.05
"""How far a free direction may vary, relative to its mean, and count as a constant."""
ONE_SIGN, ACCURATE = 0.9, 0.01
"""Share of points at which the residual has one sign, and least relative residual, where a flux
contradicts a source."""
WAVES = 8.0
"""Least wave number, in radians a unit, for which waves are named as the reason."""
THIN = 0.05
"""Largest width of layers, in units, for which they are named as the reason."""


class Jump(NamedTuple):
    """A place where boundary data have no value.

    Attributes:
      point: in units.
      names: of the blocks that meet there; one where its own data jump.
      size: by how much.
    """

    point: Float[np.ndarray, " d"]
    names: tuple[str, ...]
    size: float


def place(person: Callable[[np.ndarray], np.ndarray], point: np.ndarray) -> str:
    """A point in units, to three digits, as the person writes it."""
    return written(person(np.round(point[None], 3) + 0.0)[0])


def values_given(blocks: Sequence[Block]) -> list[Block]:
    """The blocks that give u itself, at the boundary or the beginning."""
    return [
        block
        for block in blocks
        if len(block.parts) == 1
        and block.parts[0].operator.value is not None
        and block.parts[0].operator.gradient is None
        and block.parts[0].operator.hessian is None
    ]


def jumps(blocks: Sequence[Block]) -> list[Jump]:
    """Find where data of u jump, along the boundary of a plane domain.

    Args:
      blocks: with points close to each other along the boundary.
    """
    given = values_given(blocks)
    if not given or given[0].parts[0].points.shape[1] != 2:
        return []
    points = np.concatenate([block.parts[0].points for block in given])
    owner = np.repeat(np.arange(len(given)), [len(block.target) for block in given])
    values = np.concatenate([block.target / block.parts[0].operator.value for block in given])
    whole = np.ptp(values)
    if not whole or len(points) < 20:
        return []
    tree = cKDTree(points)
    apart, index = tree.query(points, 5)
    near = apart <= 4 * np.median(apart[:, 1])
    steps = np.where(near, np.abs(values[index] - values[:, None]), 0.0)
    largest = steps.max(1)
    found: list[Jump] = []
    for one in np.argsort(-largest)[:MOST_JUMPS]:
        size = largest[one]
        if size < JUMP * whole:
            break
        if any(np.linalg.norm(points[one] - other.point) < NEAR for other in found):
            continue
        other = index[one, np.argmax(steps[one])]
        middle = (points[one] + points[other]) / 2
        around = values[tree.query(middle, 16)[1]]
        first = np.abs(around - values[one]) < np.abs(around - values[other])
        # where data are steep and not discontinuous, they change as much on the sides of a step
        if max(np.ptp(around[first]), np.ptp(around[~first])) > SMOOTH * size:
            continue
        names = dict.fromkeys(given[owner[which]].name for which in sorted((one, other)))
        found.append(Jump(middle, tuple(names), float(size)))
    return found


def about_jumps(found: Sequence[Jump], person: Callable[[np.ndarray], np.ndarray]) -> list[str]:
    """Say where data jump.

    Args:
      found: by :func:`jumps`.
      person: points in the person's units, of those in units.
    """
    texts = []
    for jump in found:
        at = place(person, jump.point)
        if len(jump.names) > 1:
            texts.append(
                f"incompatible data at the corner {at}: {' and '.join(jump.names)} disagree by "
                f"{jump.size:.3g} times the largest data"
            )
        else:
            texts.append(
                f"data jump near {at}, in {jump.names[0]}, by {jump.size:.3g} times the largest "
                "data: u has no value there"
            )
    return texts


def about_free(
    found: Estimate, left: Sequence[Residual], person: Callable[[np.ndarray], np.ndarray]
) -> tuple[list[str], bool]:
    """Say what the data leave free, and whether no solution can be right.

    Args:
      found: of the solution.
      left: at points that were not fitted.
      person: points in the person's units, of those in units.
    """
    if found.sensitivity <= SENSITIVE:
        return [], False
    size = f"it may change {found.sensitivity:.0e} times as much as the data do"
    if np.std(found.free) < CONSTANT * np.abs(np.mean(found.free)):
        # what contradicts the flux is left everywhere with the same sign
        agree = np.mean(left[0].off > 0)
        if max(agree, 1 - agree) > ONE_SIGN and left[0].share > ACCURATE:
            return [
                "derivatives of u alone are given, and they contradict the source: no u solves "
                f"the problem (equation: {left[0].share:.1%} of its terms are left)"
            ], True
        return [
            "derivatives of u alone are given: any constant may be added to u (give u at one piece "
            "of the boundary, or take its mean away)"
        ], False
    at = place(person, found.points[np.argmax(np.abs(found.free))])
    return [f"the data hardly determine u: {size}, most of all near {at}"], False


def about_residual(
    left: Sequence[Residual],
    equation: Block,
    edges: Sequence[Block],
    corners: Float[np.ndarray, "k d"],
    person: Callable[[np.ndarray], np.ndarray],
    features: int,
) -> str:
    """Say where the residual is largest, and what the likely cause is.

    Args:
      left: at points that were not fitted.
      equation: the equation's block.
      edges: boundary data at many points.
      corners: of the domain that point inwards, in units.
      person: points in the person's units, of those in units.
      features: their number.
    """
    points = np.concatenate([one.points for one in left])
    # their sizes rather than squares: a few points may have residuals many times all others'
    share = np.concatenate([one.weight * np.abs(one.off) / max(len(one.off), 1) for one in left])
    share /= max(share.sum(), np.finfo(float).tiny)
    plain = np.concatenate([np.full(len(one.off), 1 / max(len(one.off), 1)) for one in left])
    plain /= plain.sum()
    waves, width = wave_number(equation), layer_width(equation)
    few = f"than {features} features resolve"
    tree = cKDTree(points)
    for corner in corners:
        ball = tree.query_ball_point(corner, NEAR)
        if share[ball].sum() > CONCENTRATED * plain[ball].sum():
            return (
                f"corner singularity: the domain's corner at {place(person, corner)} "
                "points inwards, where the slope of u is unbounded"
            )
    source = np.abs(equation.target)
    where = equation.parts[0].points
    ball = np.linalg.norm(where - where[np.argmax(source)], axis=1) < NEAR
    if source[ball].sum() > MOST * source.sum() and np.mean(ball) < MOST / 4:
        at = place(person, where[np.argmax(source)])
        return f"under-resolved: the source is concentrated near {at}, where u is finer {few}"
    balls = tree.query_ball_point(points[np.argsort(-share)[:64]], NEAR)
    ball = max(balls, key=lambda ball: share[ball].sum())
    if waves <= WAVES and share[ball].sum() > max(MOST, 2 * plain[ball].sum()):
        middle = share[ball] @ points[ball] / share[ball].sum()
        at = place(person, middle)
        return f"under-resolved: the residual is largest near {at}, where u is finer {few}"
    if waves > WAVES:
        number = waves / np.pi
        return f"under-resolved waves: {number:.0f} of them across the domain are finer {few}"
    if 0 < width < THIN:
        return (
            f"under-resolved layers: the equation makes layers of {width / 2:.1g} of the domain's "
            f"width, which are finer {few}"
        )
    for block in edges:
        apart, _ = cKDTree(block.parts[0].points).query(points)
        strip = apart < NEAR
        if share[strip].sum() > max(MOST, 2 * plain[strip].sum()):
            return (
                f"under-resolved: the residual is largest along {block.name}, where u is finer "
                f"{few}"
            )
    return f"under-resolved: u is finer {few}"


def wave_number(equation: Block) -> float:
    """Return the wave number of a linear equation, in radians a unit; 0: it has no waves.

    Args:
      equation: the equation's block.
    """
    value, _, hessian = equation.parts[0].operator
    if value is None or hessian is None or equation.nonlinear is not None:
        return 0.0
    second = np.linalg.eigvalsh((hessian + np.swapaxes(hessian, 1, 2)) / 2)
    largest = np.where(np.all(second >= 0, 1), second[:, -1], 0) + np.where(
        np.all(second <= 0, 1), second[:, 0], 0
    )
    ratio = value / np.where(largest == 0, np.inf, largest)
    return float(np.sqrt(max(np.median(ratio), 0.0)))


def layer_width(equation: Block) -> float:
    """Return the width of the layers that an equation makes where it carries u to a boundary.

    Args:
      equation: the equation's block.

    Returns:
      The width in units; 0: it makes none.
    """
    _, gradient, hessian = equation.parts[0].operator
    if gradient is None or hessian is None:
        return 0.0
    speed = np.linalg.norm(gradient, axis=1)
    along = np.einsum("ni,nij,nj->n", gradient, hessian, gradient)
    return float(np.median(np.abs(along) / np.where(speed > 0, speed, np.inf) ** 3))
