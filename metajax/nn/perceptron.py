"""A multi-layer perceptron over the last axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params
from metajax.nn.initial import draw_normals, drawn_later


class MLP(nn.Module):
    """Dense layers of the given ``widths``, each followed by ``activation``, then a linear head.

    Fields are those of :func:`mlp`, which is the way to make one. Kernels start LeCun-normal,
    biases at zero.
    """

    widths: tuple[int, ...]
    num_outputs: int
    activation: Callable[[Array], Array]

    @nn.compact
    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch outputs"]:
        for width in self.widths:
            x = self.activation(nn.Dense(width, kernel_init=drawn_later)(x))
        return nn.Dense(self.num_outputs, kernel_init=drawn_later)(x)


def mlp(
    widths: Sequence[int],
    num_outputs: int,
    activation: Callable[[Array], Array] = jax.nn.relu,
) -> Network:
    """Make a multi-layer perceptron: ``inputs[*batch, features] -> outputs[*batch, num_outputs]``.

    Everything is computed in the dtype of the parameters, to which the inputs are cast.

    Args:
      widths: size of each hidden layer; empty makes a linear map.
      num_outputs: size of the last axis of the outputs, e.g. classes.
      activation: applied after every hidden layer, not after the head.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.core import count
      >>> from metajax.nn import mlp
      >>> network = mlp([8, 8], 2)
      >>> params = network.init(jax.random.key(0), jnp.zeros((5, 3)))
      >>> count(params), network.apply(params, jnp.zeros((5, 3))).shape
      (122, (5, 2))
    """
    for field, size in [("widths", width) for width in widths] + [("num_outputs", num_outputs)]:
        if size < 1:
            raise ConfigError(field, size, "a whole number of 1 or more")
    module = MLP(tuple(widths), num_outputs, activation)

    def init(key: Key[Array, ""], inputs: Float[Array, "*batch features"]) -> Params:
        return draw_normals(key, module.init(key, inputs)["params"])

    def apply(
        params: Params, inputs: Float[Array, "*batch features"]
    ) -> Float[Array, "*batch outputs"]:
        dtype = jax.tree.leaves(params)[0].dtype
        outputs: Any = module.apply({"params": params}, inputs.astype(dtype))
        return outputs

    return Network(init, apply)
