"""The mean of what a hypernetwork draws."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Network, Params, check_sizes


def drawn_mean(hypernet: Network, num: int) -> Network:
    """Average the weights that a hypernetwork gives for several keys, one after the other.

    Neural Metamorphosis (Yang and Wang 2024, arXiv 2410.11878) uses the mean over 100 draws of
    noisy coordinates. A hypernetwork that does not draw gives the same weights as alone.

    Args:
      hypernet: ``apply(params, inputs, key) -> weights``.
      num: draws.

    Returns:
      The hypernetwork with ``apply(params, inputs, key) -> mean of the weights``; its ``init`` is
      the same.

    Raises:
      ConfigError: ``num`` is below 1.
    """
    check_sizes(num=num)

    def apply(params: Params, inputs: Any, key: Key[Array, ""]) -> Params:
        def add(mean: Params, now: Any) -> tuple[Params, None]:
            key, share = now
            weights = hypernet.apply(params, inputs, key)
            # equal weights leave the mean as it is, without rounding
            return jax.tree.map(lambda m, w: m + share * (w - m), mean, weights), None

        shapes = jax.eval_shape(hypernet.apply, params, inputs, key)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        shares = 1 / jnp.arange(1, num + 1, dtype=jnp.float32)
        mean, _ = jax.lax.scan(add, zeros, (jax.random.split(key, num), shares))
        return mean

    return Network(hypernet.init, apply)
