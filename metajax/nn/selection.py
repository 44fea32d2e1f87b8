"""Choosing few columns of a linear system that explain most of its right side."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32

from metajax.core import ConfigError


class Partial(NamedTuple):
    """A factorization of which some columns are done.

    Attributes:
      factor: rows of the Cholesky factor of the columns' products, one for each that is used.
      along: products of the right side with what is left of the columns.
      squares: of what is left of the columns.
      free: whether a column may still be chosen.
    """

    factor: Float[Array, "num P"]
    along: Float[Array, " P"]
    squares: Float[Array, " P"]
    free: Bool[Array, " P"]


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
    By a partial Cholesky factorization of the columns' products, of which only the rows of those
    chosen are formed: ``2 (m + num) P`` floating-point operations for each choice. A column of
    which less than the square root of the dtype's rounding is new is taken last. The choice has no
    derivative.

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
    dtype, candidates = design.dtype, design.shape[1]
    columns = design if given is None else jnp.concatenate([design, given], axis=1)
    before = columns.shape[1] - candidates
    length = jnp.linalg.norm(columns, axis=0)
    unit = columns / jnp.where(length > 0, length, 1)[None]
    # what is left of a column's square is known up to its rounding: below this it may be nothing
    floor = jnp.sqrt(jnp.finfo(dtype).eps)

    def use(state: Partial, place: Array, column: Array) -> Partial:
        """Remove a column's new direction from all columns, by one row of a Cholesky factor."""
        left = jnp.sqrt(jnp.maximum(state.squares[column], floor))
        shares = unit[:, column] @ unit - state.factor[:, column] @ state.factor
        shares, share = shares / left, state.along[column] / left
        return Partial(
            state.factor.at[place].set(shares),
            state.along - share * shares,
            state.squares - shares**2,
            state.free.at[column].set(False),
        )

    def choose(state: Partial, place: Array) -> tuple[Partial, Array]:
        gain = jnp.where(state.squares > floor, state.along**2 / state.squares, 0)
        column = jnp.argmax(jnp.where(state.free, gain, -1)[:candidates]).astype(jnp.int32)
        return use(state, place, column), column

    state = Partial(
        jnp.zeros((before + num, columns.shape[1]), dtype),
        targets @ unit,
        jnp.sum(unit**2, axis=0),
        jnp.ones(columns.shape[1], bool),
    )
    for place in range(before):
        state = use(state, jnp.int32(place), jnp.int32(candidates + place))
    return jax.lax.scan(choose, state, before + jnp.arange(num, dtype=jnp.int32))[1]
