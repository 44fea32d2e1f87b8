"""Inner batches out of a task's examples."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from metajax.core import ConfigError, random_indices


def full_batches(examples: PyTree, key: Key[Array, ""], num: int) -> PyTree:
    """Return all examples ``num`` times over: every inner step sees the same full batch.

    Args:
      examples: arrays that share a leading axis.
      key: not used, since nothing is drawn.
      num: inner steps.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.bilevel import full_batches
      >>> full_batches(jnp.zeros((10, 3)), jax.random.key(0), 5).shape
      (5, 10, 3)
    """
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num, *leaf.shape)), examples)


def minibatches(size: int) -> Callable[[PyTree, Key[Array, ""], int], PyTree]:
    """Make ``batches(examples, key, num)``: ``num`` batches of ``size`` examples on a leading axis.

    Examples are drawn uniformly with replacement from the leading axis of ``examples``.

    Args:
      size: examples of a batch.

    Returns:
      The function, which returns leaves ``[num, size, ...]``.

    Raises:
      ConfigError: ``size`` is below 1.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.bilevel import minibatches
      >>> minibatches(4)(jnp.zeros((10, 3)), jax.random.key(0), 5).shape
      (5, 4, 3)
    """
    if size < 1:
        raise ConfigError("size", size, "1 example or more")

    def batches(examples: PyTree, key: Key[Array, ""], num: int) -> PyTree:
        total = jax.tree.leaves(examples)[0].shape[0]
        indices = random_indices(key, (num, size), jnp.uint32(total))
        return jax.tree.map(lambda leaf: leaf[indices], examples)

    return batches
