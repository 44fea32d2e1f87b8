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


def interval_dense(
    kernel: Interval | Float[Array, "inputs outputs"],
    bias: Interval | Float[Array, " outputs"],
    x: Interval | Float[Array, "n inputs"],
) -> Interval:
    """Return bounds of ``x @ kernel + bias``; each is an interval, or an array that is exact.

    With ``x = c +- q`` and ``kernel = a +- b`` the radius is ``q |a| + (|c| + q) b``, and that of
    the bias (interval bound propagation; Gowal et al. 2018, arXiv 1810.12715, for weights too).
    Exact arrays save the products with a radius of 0.

    Args:
      kernel: ``[inputs, outputs]``.
      bias: ``[outputs]``.
      x: ``[n, inputs]``.
    """
    a, b = kernel if isinstance(kernel, Interval) else (kernel, None)
    c, q = x if isinstance(x, Interval) else (x, None)
    shift, spread = bias if isinstance(bias, Interval) else (bias, jnp.zeros_like(bias))
    center = c @ a + shift[None]
    radius = jnp.broadcast_to(spread[None], center.shape)
    if q is not None:
        radius = radius + q @ jnp.abs(a)
    if b is not None:
        radius = radius + (jnp.abs(c) if q is None else jnp.abs(c) + q) @ b
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
    layers: Sequence[tuple[Interval | Array, Interval | Array]],
    x: Interval | Float[Array, "n inputs"],
    activation: Callable[[Array], Array] = jax.nn.relu,
) -> Interval:
    """Return bounds of a multi-layer perceptron's outputs.

    Args:
      layers: kernel and bias of each; an activation stands between them. Arrays are exact.
      x: inputs ``[n, inputs]``; an array is exact.
      activation: a nondecreasing one.
    """
    (kernel, bias), *others = layers
    bounds = interval_dense(kernel, bias, x)
    for kernel, bias in others:
        bounds = interval_dense(kernel, bias, interval_activation(activation, bounds))
    return bounds


def exact(tree: Params) -> Params:
    """Return arrays as intervals of radius 0, at each leaf of a pytree.

    Args:
      tree: of arrays.
    """
    return jax.tree.map(lambda leaf: Interval(leaf, jnp.zeros_like(leaf)), tree)
