"""Weights whose scale does not depend on the magnitude of what they are generated from."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params, check_sizes, derive
from metajax.hypernet.encodings import unit_encoding
from metajax.hypernet.generators import generator
from metajax.hypernet.heads import Head
from metajax.hypernet.layers import empty_layers, layers_of, normalize_rows, through_layers
from metajax.nn import draw_normals

SLOPE = 0.01
"""LeakyReLU's, below zero."""
SQUARES = {True: 0.5, False: 1 / 3}
"""Mean square of a network's inputs that lie evenly between 0 and 1, encoded or not."""


def magnitude_invariant(
    target: Callable[[Key[Array, ""]], Params],
    *,
    hidden: Sequence[int] = (16, 64),
    encoding: bool = True,
    base: float | None = 0.5,
    norm: bool = False,
    head: Head | None = None,
) -> Network:
    """Make a hypernetwork in the magnitude invariant parametrization (arXiv 2304.07645).

    Layers of a LeakyReLU network without biases at the start read the latents, and a linear head a
    tensor makes the target's parameters. Such a network is homogeneous: twice the input gives twice
    the output. So weights made from small latents are small, and their gradients too. The cure of
    Ortiz, Guttag and Dalca (2023) has two parts. Latents are encoded by :func:`unit_encoding`, and
    what is generated is added to learned parameters of the target's own size. Without both, this is
    the hypernetwork that they improve.

    Hidden kernels start Kaiming-normal with the fan-out, so a layer keeps the squared norm of its
    inputs. In place of the paper's fan-out for the last layer, each tensor starts with the mean and
    variance that ``target`` gives it, over latents that lie evenly between 0 and 1.

    Args:
      target: ``target(key) -> params`` of the target; floating-point arrays.
      hidden: sizes of the hidden layers, which all heads share; one or more.
      encoding: encode the latents.
      base: add learned parameters, which start with this share of the variance; None: there are
        none. See :func:`generator`.
      norm: divide the last hidden layer by its root mean square. For a single positive latent that
        is not encoded this makes all generated networks equal.
      head: how tensors are made, behind the hidden layers; see :func:`generator`.

    Returns:
      The hypernetwork: ``init(key, latents) -> params``, ``apply(params, latents [*batch, size])``.

    Raises:
      ConfigError: a size is below 1, ``base`` is out of range, or the head needs hidden layers of
        its own.
    """
    check_sizes(**{f"hidden_{number}": width for number, width in enumerate(hidden)})
    check_sizes(hidden=len(hidden))
    made = generator(target, hidden=(), base=base, head=head)

    def features(params: Params, latents: Float[Array, "*batch size"]) -> Array:
        x = unit_encoding(latents) if encoding else latents
        x = x.astype(params["hidden_0"]["kernel"].dtype)
        # the layers keep the squared norm; the heads expect a mean square of 1
        scale = math.sqrt(hidden[-1] / (x.shape[-1] * SQUARES[encoding]))
        *batch, size = x.shape
        x = x.reshape(-1, size)
        x = through_layers(
            layers_of(params), x, functools.partial(jax.nn.leaky_relu, negative_slope=SLOPE)
        )
        x = normalize_rows(x) if norm else scale * x
        return x.reshape(*batch, hidden[-1])

    def init(key: Key[Array, ""], latents: Float[Array, "*batch size"]) -> Params:
        inputs = latents.shape[-1] * (2 if encoding else 1)
        params, size = empty_layers(inputs, hidden)
        params = draw_normals(derive(key, "hidden"), params, _fan_out)
        heads_params = made.init(derive(key, "heads"), jnp.zeros((*latents.shape[:-1], size)))
        return {**params, "heads": heads_params}

    def apply(params: Params, latents: Float[Array, "*batch size"]) -> Params:
        return made.apply(params["heads"], features(params, latents))

    return Network(init, apply)


def _fan_out(name: str, leaf: Float[Array, "..."]) -> float | None:
    """Kaiming's deviation for LeakyReLU by the number of outputs."""
    if name != "kernel":
        return None
    return math.sqrt(2 / (1 + SLOPE**2) / leaf.shape[-1])
