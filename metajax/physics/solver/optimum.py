"""The least-squares optimum of a problem's blocks, differentiable in all that they hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from metajax.nn import factored_least_squares, least_squares
from metajax.nn.regression import Saddle, saddle_solver
from metajax.nn.solves import lapack_r, solve_lower, solve_upper
from metajax.physics.solver.lapack import RIDGE
from metajax.physics.solver.operators import Block, Operator, design
from metajax.physics.solver.ridge_functions import FeatureSet

MOST_STEPS = 30
"""Steps of Gauss-Newton at most."""
ENOUGH = 1e-3
"""Least relative decrease of the residual by a step for another one to follow."""
SHORTER = 10
"""How often a step may be halved."""
LAST = 3
"""Steps after the last one that are differentiated, see ``parametric.solution_at``."""
ROUNDING = 1e-14
"""What the equations leave of their target by rounding alone."""
DAMPED = 1e-8
"""Least length, over those of columns, of a combination of them through which what the equations
leave changes the optimum: the root of float64's rounding."""


@custom_vmap
def fast_solve(rows: Float[Array, "n num"], target: Float[Array, " n"]) -> Float[Array, " num"]:
    """Solve in half the time of :func:`differentiable_solve`, without derivatives."""
    return factored_least_squares(rows, target[:, None], RIDGE**2).head[:, 0]


@fast_solve.def_vmap
def _(size: int, batched: list[bool], rows: Array, target: Array) -> tuple[Array, bool]:
    # the fast one factors rows and target together; several targets are to share a factorization
    solve = fast_solve.fun if batched[0] else differentiable_solve
    axes = tuple(0 if one else None for one in batched)
    return jax.vmap(solve, axes)(rows, target), True


def differentiable_solve(rows: Array, target: Array) -> Float[Array, " num"]:
    """Solve with factors that serve derivatives and other targets too."""
    return least_squares(rows, target[:, None], RIDGE**2)[:, 0]


@jax.custom_jvp
def solve_rows(rows: Float[Array, "n num"], target: Float[Array, " n"]) -> Float[Array, " num"]:
    """Combine columns so that they are nearest to the target.

    Args:
      rows: of which columns are combined.
      target: what the combination should give.
    """
    return fast_solve(rows, target)


@solve_rows.defjvp
def _(at: tuple[Array, Array], along: tuple[Array, Array]) -> tuple[Array, Array]:
    """Differentiate the optimum: one part of it is by what the equations leave.

    They often leave rounding alone. The inverse of the normal equations would make much of it where
    columns nearly depend on each other.
    """
    (rows, target), (change, moved) = at, along
    squares = jax.lax.stop_gradient(jnp.sum(rows**2, 0))
    length = jnp.sqrt(jnp.where(squares > 0, squares, 1))
    scaled = rows / length[None]
    solver, factor = saddle_solver(jnp.asarray(RIDGE, rows.dtype), scaled)
    none = jnp.zeros((len(length), 1), rows.dtype)

    def solve(target: Array) -> Array:
        return solver(Saddle(none, target[:, None], none)).x[:, 0] / length

    found = solve(target)
    left = target - rows @ found
    # what is not more than the rounding of its terms says nothing
    size, rounding = jnp.sum(left**2), ROUNDING**2 * jnp.sum(target**2)
    left = left * size / jnp.where(size > 0, size + rounding, 1)
    by_rows = damped_solve(scaled, factor, (change.T @ left) / length) / length
    return found, solve(moved - change @ found) + by_rows


def damped_solve(rows: Array, factor: Array, right: Float[Array, " num"]) -> Float[Array, " num"]:
    """Solve normal equations with ``DAMPED**2`` on their diagonal.

    Args:
      rows: of the equations, columns of length 1.
      factor: triangular, of the rows.
      right: the right side.
    """
    damping = DAMPED * jnp.eye(len(factor), dtype=factor.dtype)
    upper = lapack_r(jnp.concatenate([factor, damping]))

    def product(x: Array) -> Array:
        return rows.T @ (rows @ x) + DAMPED**2 * x

    def solve(_: Callable[..., Array], right: Array) -> Array:
        lower = upper.T
        return solve_upper(lower, solve_lower(lower, right[:, None]))[:, 0]

    return jax.lax.custom_linear_solve(product, right, solve, symmetric=True)


class NonlinearRows(NamedTuple):
    """Rows that also hold a function of u and its gradient.

    Attributes:
      first: index of the first row.
      function: ``function(u, gradient) -> [n]``, at each point of its own.
      value: of the features, at these points.
      slopes: of the features.
    """

    first: int
    function: Callable[[Array, Array], Array]
    value: Float[Array, "n num"]
    slopes: Float[Array, "d n num"]


class System(NamedTuple):
    """All equations, over weights of features.

    Attributes:
      rows: what is linear of them.
      target: what they should give.
      nonlinear: what is not linear.
    """

    rows: Float[Array, "n num"]
    target: Float[Array, " n"]
    nonlinear: tuple[NonlinearRows, ...]


class Images(NamedTuple):
    """A system at given weights: its linear rows, and u with its gradient at nonlinear ones."""

    rows: Float[Array, " n"]
    inside: tuple[tuple[Array, Array], ...]


def system_of(blocks: Sequence[Block], features: FeatureSet) -> System:
    """Take features at the points of blocks.

    Args:
      blocks: all equations.
      features: to combine.
    """
    rows, target, nonlinear, first = [], [], [], 0
    for block in blocks:
        factor = block.weight / len(block.target) ** 0.5
        rows.append(factor * design(block, features))
        target.append(factor * block.target)
        if block.nonlinear is not None:
            nonlinear.append(nonlinear_rows(block, features, first, factor))
        first += len(block.target)
    return System(jnp.concatenate(rows), jnp.concatenate(target), tuple(nonlinear))


def nonlinear_rows(block: Block, features: FeatureSet, first: int, factor: float) -> NonlinearRows:
    """The nonlinear part of a block."""
    points = block.parts[0].points
    one = jnp.ones(len(points), points.dtype)
    along = [jnp.zeros_like(points).at[:, place].set(1) for place in range(points.shape[1])]
    slopes = [features(points, Operator(None, direction)) for direction in along]

    def function(u: Array, gradient: Array) -> Array:
        return factor * block.nonlinear(points, u, gradient)

    return NonlinearRows(first, function, features(points, Operator(one)), jnp.stack(slopes))


def images_of(system: System, weights: Float[Array, " num"]) -> Images:
    """Evaluate a system at given weights."""
    inside = [
        (part.value @ weights, jnp.moveaxis(part.slopes @ weights, 0, -1))
        for part in system.nonlinear
    ]
    return Images(system.rows @ weights, tuple(inside))


def left_of(system: System, images: Images) -> Float[Array, " n"]:
    """Return the residuals of all equations."""
    found = images.rows - system.target
    for part, (u, gradient) in zip(system.nonlinear, images.inside, strict=True):
        found = found.at[part.first : part.first + len(u)].add(part.function(u, gradient))
    return found


def step_from(system: System, images: Images) -> Float[Array, " num"]:
    """Return the weights that are best for the equations' linearization."""
    rows, target = system.rows, system.target
    for part, (u, gradient) in zip(system.nonlinear, images.inside, strict=True):
        value, pull = jax.vjp(part.function, u, gradient)
        by_u, by_gradient = pull(jnp.ones_like(value))
        slope = by_u[:, None] * part.value + jnp.einsum("nd,dnk->nk", by_gradient, part.slopes)
        there = slice(part.first, part.first + len(u))
        rows = rows.at[there].add(slope)
        known = by_u * u + jnp.sum(by_gradient * gradient, -1)
        target = target.at[there].add(known - value)
    return solve_rows(rows, target)


def settle(system: System, start: Float[Array, " num"]) -> Float[Array, " num"]:
    """Take Gauss-Newton steps, shortened where the residual grows, until they gain nothing.

    This function is not meant to be differentiated.

    Args:
      system: with nonlinear rows.
      start: weights to begin with.
    """
    shares = jnp.append(0.5 ** jnp.arange(SHORTER, dtype=start.dtype), 0)

    def body(state: tuple[Any, ...]) -> tuple[Any, ...]:
        steps, weights, images, least, _ = state
        aim = step_from(system, images)
        whole = images_of(system, aim)

        def between(share: Array) -> Images:
            return jax.tree.map(lambda a, b: a + share * (b - a), images, whole)

        tried = jax.vmap(lambda share: jnp.linalg.norm(left_of(system, between(share))))(shares)
        tried = jnp.where(jnp.isfinite(tried), tried, jnp.inf)
        best = jnp.argmin(tried)
        gained = tried[best] < (1 - ENOUGH) * least
        share = shares[best]
        return steps + 1, weights + share * (aim - weights), between(share), tried[best], gained

    images = images_of(system, start)
    least = jnp.linalg.norm(left_of(system, images))
    begin = (jnp.zeros((), jnp.int32), start, images, least, jnp.ones((), bool))
    found = jax.lax.while_loop(lambda state: state[-1] & (state[0] < MOST_STEPS), body, begin)
    return found[1]
