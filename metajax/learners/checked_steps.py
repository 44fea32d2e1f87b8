"""Gradient descent whose steps are checked, so that it needs no learning rate."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError

GROW, SHRINK = 2.0, 0.5
"""Factors of the step size after a step that is taken, and after one that is not."""


def checked_descent(
    loss: Callable[[Float[Array, "..."]], Float[Array, ""]],
    start: Float[Array, "..."],
    steps: int,
    *,
    pull: float = 1.0,
) -> Float[Array, "..."]:
    """Move down a loss by steps that are taken only if they lower it, and stay near the start.

    What falls is ``loss(x) + pull / 2 * |x - start|^2``. So ``loss`` is never above its value at
    the start. For the negative log-likelihood of data and a pull of 1, the minimum is the most
    probable vector under a normal distribution of unit variance around the start. The first step
    that is tried has length 1. The size is doubled after a step that is taken, and halved
    after one that is not (backtracking; Armijo 1966, without a margin). This is not
    ``optax.scale_by_backtracking_linesearch``: its steps search for a size by as many values as
    that needs, and where the search fails it takes the last size, though the loss rises.

    Args:
      loss: of a vector; a step to where it is not a number is not taken.
      start: where it begins.
      steps: that are tried; each takes one value and one gradient of the loss.
      pull: towards the start.

    Returns:
      The vector; ``start`` itself after 0 steps.

    Raises:
      ConfigError: there are less than 0 steps.
    """
    if steps < 0:
        raise ConfigError("steps", steps, "a whole number of 0 or more")
    if not steps:
        return start

    def objective(at: Array) -> Array:
        return loss(at) + pull / 2 * jnp.sum(jnp.square(at - start))

    found = jax.value_and_grad(objective)

    def step(_: int, state: tuple[Array, ...]) -> tuple[Array, ...]:
        at, value, slope, rate = state
        tried = at - rate * slope
        new_value, new_slope = found(tried)
        falls = new_value < value
        return (
            jnp.where(falls, tried, at),
            jnp.where(falls, new_value, value),
            jnp.where(falls, new_slope, slope),
            rate * jnp.where(falls, GROW, SHRINK),
        )

    value, slope = found(start)
    length = jnp.sqrt(jnp.sum(jnp.square(slope)))
    rate = 1 / jnp.maximum(length, jnp.finfo(start.dtype).tiny)
    return jax.lax.fori_loop(0, steps, step, (start, value, slope, rate))[0]
