"""Choosing few columns of a linear system that explain most of its right side."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from metajax.core import ConfigError


def orthogonal_least_squares(
    design: Float[Array, "m P"],
    targets: Float[Array, " m"],
    num: int,
    *,
    given: Float[Array, "m g"] | None = None,
) -> Int32[Array, " num"]:
    """Choose columns one by one, each the one that leaves least of the right side.

    Orthogonal least squares (Chen, Billings and Luo 1989, Int. J. Control 50(5), section 3): after
    each choice the other columns count by what of them is orthogonal to those that were chosen.
    ``2 m (P + 2 num)`` floating-point operations for each choice, and one product with the design;
    no matrix is factored. The choice has no derivative.

    Args:
      design: the candidates; their lengths do not matter.
      targets: the right side.
      num: how many are chosen, all different.
      given: columns that are used in any case, such as a constant.

    Returns:
      The numbers of the columns, the most useful first.

    Raises:
      ConfigError: ``num`` is not between 1 and the number of candidates.
    """
    if not 1 <= num <= design.shape[1]:
        raise ConfigError("num", num, f"1 to {design.shape[1]}, the candidates")
    design, targets, given = jax.lax.stop_gradient((design, targets, given))
    dtype = design.dtype
    columns = jnp.zeros((design.shape[0], 0), dtype) if given is None else given
    length = jnp.linalg.norm(design, axis=0)
    unit = design / jnp.where(length > 0, length, 1)[None]
    # what is left of a column is known to about the square root of the rounding, no better
    floor = jnp.sqrt(jnp.finfo(dtype).eps)
    before = columns.shape[1]
    basis = jnp.zeros((design.shape[0], before + num), dtype)

    def use(
        state: tuple[Array, Array, Array, Array], place: Array, column: Array
    ) -> tuple[Array, Array, Array, Array]:
        """Remove a column's direction from the right side and from what counts of the others."""
        basis, along, squares, free = state
        for _ in range(2):  # once loses digits where little of it is new
            column = column - basis @ (basis.T @ column)
        size = jnp.linalg.norm(column)
        direction = jnp.where(size > 0, column / jnp.where(size > 0, size, 1), 0)
        shares = direction @ unit
        rest = targets - basis @ (basis.T @ targets)
        along = along - shares * (direction @ rest)
        return basis.at[:, place].set(direction), along, squares - shares**2, free

    def choose(
        state: tuple[Array, Array, Array, Array], place: Array
    ) -> tuple[tuple[Array, Array, Array, Array], Array]:
        _, along, squares, free = state
        gain = jnp.where(squares > floor, along**2 / jnp.maximum(squares, floor), 0)
        chosen = jnp.argmax(jnp.where(free, gain, -1)).astype(jnp.int32)
        basis, along, squares, free = use(state, place, unit[:, chosen])
        return (basis, along, squares, free.at[chosen].set(False)), chosen

    state = (basis, targets @ unit, jnp.sum(unit**2, axis=0), jnp.ones(design.shape[1], bool))
    for place in range(before):
        state = use(state, jnp.int32(place), columns[:, place])
    return jax.lax.scan(choose, state, before + jnp.arange(num, dtype=jnp.int32))[1]
