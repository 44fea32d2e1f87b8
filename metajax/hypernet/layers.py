"""What the generators share: layers yet to be drawn, and how the target starts by itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.core import Params, root

START_DRAWS = 8
"""Initializations of the target that its scales are taken from."""
EPSILON = 1e-6
"""Added to a mean square before its root is divided by."""


class Start(NamedTuple):
    """How one tensor of a target starts, over several of its draws.

    Attributes:
      first: the first of the draws.
      drawn: which entries differ between draws.
      mean: of the drawn entries together.
      deviation: of the drawn entries together.
    """

    first: Float[Array, "..."]
    drawn: Bool[Array, "..."]
    mean: Float[Array, ""]
    deviation: Float[Array, ""]

    @property
    def center(self) -> Float[Array, "..."]:
        """What each entry starts around: the mean, or what the target sets it to."""
        return jnp.where(self.drawn, self.mean, self.first)

    def base(self, share: float) -> Float[Array, "..."]:
        """Return a start with this share of the variance.

        Args:
          share: 0 to 1.
        """
        return self.center + math.sqrt(share) * jnp.where(self.drawn, self.first - self.mean, 0)


def start_of(draws: Float[Array, "draws ..."]) -> Start:
    """Return how a tensor starts.

    Args:
      draws: several starts of it.
    """
    drawn = jnp.any(draws != draws[:1], axis=0)
    num = jnp.maximum(len(draws) * jnp.sum(drawn), 1).astype(draws.dtype)
    mean = jnp.sum(draws, where=drawn) / num
    deviation = root(jnp.sum(jnp.square(draws - mean), where=drawn) / num)
    return Start(draws[0], drawn, mean, deviation)


def empty_layers(inputs: int, hidden: Sequence[int]) -> tuple[Params, int]:
    """Return hidden layers of zeros, and how many numbers the last of them gives.

    Args:
      inputs: numbers that the first one reads.
      hidden: sizes of the layers; may be empty.
    """
    params: Params = {}
    for number, width in enumerate(hidden):
        params[f"hidden_{number}"] = empty_layer(inputs, width)
        inputs = width
    return params, inputs


def empty_layer(inputs: int, outputs: int) -> Params:
    """Return a layer of zeros.

    Args:
      inputs: numbers that it reads.
      outputs: numbers that it gives.
    """
    return {"kernel": jnp.zeros((inputs, outputs)), "bias": jnp.zeros(outputs)}


def layers_of(params: Params) -> list[Params]:
    """Return the hidden layers among parameters, in their order.

    Args:
      params: which hold them as :func:`empty_layers` names them; may hold others.
    """
    number = sum(name.startswith("hidden_") for name in params)
    return [params[f"hidden_{at}"] for at in range(number)]


def through_layers(
    layers: Sequence[Params], x: Float[Array, "n inputs"], activation: Callable[[Array], Array]
) -> Float[Array, "n width"]:
    """Return what layers make of rows.

    Args:
      layers: in their order; may be none.
      x: the rows.
      activation: behind each layer.
    """
    for layer in layers:
        x = activation(x @ layer["kernel"] + layer["bias"][None])
    return x


def normalize_rows(x: Float[Array, "n width"]) -> Float[Array, "n width"]:
    """Divide rows by their root mean square.

    Args:
      x: the rows.
    """
    return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + EPSILON)
