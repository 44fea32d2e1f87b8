"""A network of its own for each of several widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError, MetaLearner, Network, Params, Task
from metajax.learners.subnetworks import lone_subnetworks


def networks_alone(make: Callable[[int], Network], widths: Sequence[int]) -> MetaLearner:
    """Train a network of its own for each width, all of them in one program, on the same examples.

    What networks of any width are compared with: nothing is shared. The loss is the sum over the
    networks, so an optimizer that treats each number by itself trains each of them as if alone.

    Args:
      make: ``make(width) -> network``, inputs to logits.
      widths: of the networks, one or more.

    Returns:
      The learner. Its support is one of the widths; of another one it takes the nearest.

    Raises:
      ConfigError: there is no width.
    """
    if not widths:
        raise ConfigError("widths", widths, "one width or more")

    def of(sizes: tuple[int, ...]) -> Network:
        network = make(sizes[0])

        def apply(params: Params, inputs: Array, architecture: Any) -> Array:
            return network.apply(params, inputs)

        return Network(network.init, apply)

    every = lone_subnetworks(of, {"width": tuple(widths)})

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Int32[Array, ""]:
        apart = jnp.abs(jnp.asarray(widths, jnp.int32) - support)
        return jnp.argmin(apart).astype(jnp.int32)

    def predict(params: Params, adapted: Any, inputs: Array) -> Float[Array, "n ways"]:
        return every.predict(params, (), inputs)[adapted]

    def init(key: Key[Array, ""], task: Task) -> Params:
        return every.init(key, task.query)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        return every.loss(params, task.query, key)

    return MetaLearner(init, adapt, predict, loss)
