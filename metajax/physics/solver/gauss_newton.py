"""Move features to reduce the residual of their best combination, for one problem."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.nn import least_squares, positive_solve
from metajax.physics.pde import Points
from metajax.physics.solver.least_squares import (
    BOUNDARY_WEIGHT,
    Equations,
    RandomFeatures,
    equations,
    with_constant,
)

DAMPING = 0.1
"""First damping, relative to the squares of the columns. It falls to a third after a step that
helps, and grows fourfold after one that does not."""
LEAST = 1e-12
"""What is added to every square in any case."""


class Fitted(NamedTuple):
    """Features and their best combination.

    Attributes:
      inner: a, b and c of ``tanh(a x + b y + c)``.
      left: root of the sum of squares that is left of :func:`equations`.
    """

    inner: Float[Array, "3 num"]
    left: Float[Array, ""]


def improve_features(
    coefficients: Float[Array, "5"],
    points: Points,
    inner: Float[Array, "3 num"],
    steps: int,
    *,
    boundary_weight: float = BOUNDARY_WEIGHT,
) -> Fitted:
    """Move tanh features by damped Gauss-Newton steps on the residual of their best combination.

    Each step linearizes in features and head together and is damped in the features alone
    (Levenberg-Marquardt); then the head is solved for exactly, as in variable projection (Golub
    and Pereyra 1973). A step that increases the residual is not taken. A step takes one
    factorization of ``4 num + 1`` unknowns and a few designs, one for each number of a feature. It
    is meant for float64.

    Args:
      coefficients: of the operator.
      points: of the problem, several for each of the ``4 num + 1`` numbers.
      inner: the features to start from.
      steps: that are tried, 0 or more.
      boundary_weight: of boundary data against the equation.

    Returns:
      The features, and the residual of the equations.

    Raises:
      ConfigError: ``steps`` below 0.
    """
    if steps < 0:
        raise ConfigError("steps", steps, "0 or more")
    num = inner.shape[1]
    make = partial(rows_of, coefficients, points, boundary_weight)

    def solve(rows: Equations) -> tuple[Array, Array]:
        tiny = float(jnp.finfo(rows.design.dtype).eps) ** 2
        head = least_squares(rows.design, rows.targets[:, None], tiny)[:, 0]
        return head, jnp.linalg.norm(rows.design @ head - rows.targets)

    def step(state: tuple[Array, Array, Array, Array], _: None):
        inner, head, left, damping = state
        rows = make(inner)
        # a feature's number moves that feature's column alone: one derivative for all of them
        moved = [
            jax.jvp(make, (inner,), (jnp.zeros_like(inner).at[place].set(1),))[1].design[:, :num]
            for place in range(3)
        ]
        slopes = jnp.concatenate([*(one * head[None, :num] for one in moved), rows.design], axis=1)
        length = jnp.linalg.norm(slopes, axis=0)
        length = jnp.where(length > 0, length, 1)
        scaled = slopes / length[None]
        damped = jnp.concatenate([jnp.full(3 * num, damping), jnp.zeros(num + 1)])
        normal = scaled.T @ scaled + jnp.diag(damped.astype(inner.dtype) + LEAST)
        down = scaled.T @ (rows.design @ head - rows.targets)
        move = positive_solve(normal, down[:, None])
        tried = inner - (move[:, 0] / length)[: 3 * num].reshape(3, num)
        tried_head, tried_left = solve(make(tried))
        better = tried_left < left
        new = (tried, tried_head, tried_left, damping / 3)
        old = (inner, head, left, damping * 4)
        return jax.tree.map(lambda a, b: jnp.where(better, a, b), new, old), None

    start = (inner, *solve(make(inner)), jnp.asarray(DAMPING, inner.dtype))
    (inner, _, left, _), _ = jax.lax.scan(step, start, length=steps)
    return Fitted(inner, left)


def rows_of(
    coefficients: Float[Array, "5"],
    points: Points,
    boundary_weight: float,
    inner: Float[Array, "3 num"],
) -> Equations:
    """The rows of features and a constant."""
    return equations(coefficients, points, with_constant(RandomFeatures(inner)), boundary_weight)
