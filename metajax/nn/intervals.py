"""Interval arithmetic through dense layers: sound bounds for inputs and weights in boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import Params


class Interval(NamedTuple):
    """All values within ``radius`` of ``center``, entry by entry.

    Attributes:
      center: the middle.
      radius: 0 or more.
    """

    center: Float[Array, "*shape"]
    radius: Float[Array, "*shape"]

    @property
    def lower(self) -> Float[Array, "*shape"]:
        """The lower ends."""
        return self.center - self.radius

    @property
    def upper(self) -> Float[Array, "*shape"]:
        """The upper ends."""
        return self.center + self.radius


def between(lower: Float[Array, "*shape"], upper: Float[Array, "*shape"]) -> Interval:
    """Return the interval from its ends.

    Args:
      lower: the lower ends.
      upper: the upper ends.
    """
    return Interval((lower + upper) / 2, (upper - lower) / 2)


def interval_dense(kernel: Interval, bias: Interval, x: Interval) -> Interval:
    """Return bounds of ``x @ kernel + bias`` where all three are intervals.

    With ``x = c +- q`` and ``kernel = a +- b`` the radius is ``q |a| + (|c| + q) b``, and that of
    the bias (interval bound propagation; Gowal et al. 2018, arXiv 1810.12715, for weights too).

    Args:
      kernel: ``[inputs, outputs]``.
      bias: ``[outputs]``.
      x: ``[n, inputs]``.
    """
    (a, b), (c, q) = kernel, x
    center = c @ a + bias.center[None]
    radius = q @ jnp.abs(a) + (jnp.abs(c) + q) @ b + bias.radius[None]
    return Interval(center, radius)


def interval_activation(function: Callable[[Array], Array], x: Interval) -> Interval:
    """Return bounds of a nondecreasing function, entry by entry.

    Args:
      function: such as ReLU, tanh or a leaky ReLU. GELU and swish decrease somewhere, so their
        bounds would be wrong.
      x: its argument.
    """
    return between(function(x.lower), function(x.upper))


def interval_mlp(
    layers: Sequence[tuple[Interval, Interval]],
    x: Interval,
    activation: Callable[[Array], Array] = jax.nn.relu,
) -> Interval:
    """Return bounds of a multi-layer perceptron's outputs.

    Args:
      layers: kernel and bias of each; an activation stands between them.
      x: inputs ``[n, inputs]``.
      activation: a nondecreasing one.
    """
    for place, (kernel, bias) in enumerate(layers):
        x = interval_dense(kernel, bias, x if place == 0 else interval_activation(activation, x))
    return x


def exact(tree: Params) -> Params:
    """Return arrays as intervals of radius 0, at each leaf of a pytree.

    Args:
      tree: of arrays.
    """
    return jax.tree.map(lambda leaf: Interval(leaf, jnp.zeros_like(leaf)), tree)
