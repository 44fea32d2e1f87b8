"""Batch normalization that keeps averages, and a convolutional network that is cut into parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params, check_sizes
from metajax.nn.conv import EPSILON, conv2d, conv_params
from metajax.nn.initial import draw_normals


class Averages(NamedTuple):
    """Statistics of each channel.

    Attributes:
      mean: of each channel.
      variance: of each channel.
    """

    mean: Float[Array, " channels"]
    variance: Float[Array, " channels"]


def normalise_by(
    x: Float[Array, "*batch channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
    averages: Averages,
    use_batch: bool,
) -> tuple[Float[Array, "*batch channels"], Averages]:
    """Normalize each channel by the batch or by averages (Ioffe and Szegedy, arXiv 1502.03167).

    :func:`batch_normalise` does the first alone.

    Args:
      x: a batch, channels last.
      scale: of each channel.
      bias: of each channel.
      averages: kept from earlier batches.
      use_batch: whether the batch's own statistics are used.

    Returns:
      The normalized batch, and the statistics that were used. With ``use_batch`` the caller mixes
      them into its averages where it wants to.
    """
    if use_batch:
        axes = tuple(range(x.ndim - 1))
        mean = jnp.mean(x, axes)
        expand = (None,) * (x.ndim - 1)
        averages = Averages(mean, jnp.mean(jnp.square(x - mean[expand]), axes))
    expand = (None,) * (x.ndim - 1)
    deviation = jax.lax.rsqrt(averages.variance + EPSILON)
    centered = x - averages.mean[expand]
    return centered * deviation[expand] * scale[expand] + bias[expand], averages


class PartedNetwork(NamedTuple):
    """A network in parts, each a function of the one before, with a head on the last.

    The parameters of part ``k`` are ``params["part_k"]``, its averages ``averages["part_k"]``, the
    head's parameters ``params["head"]``.

    Attributes:
      init: ``init(key, images) -> (params, averages)``.
      parts: ``part(params, averages, x, use_batch) -> (x, averages)``, each with its own; the
        averages that come back are those that were used.
      head: ``head(params, x) -> logits``.
    """

    init: Callable[..., tuple[Params, Any]]
    parts: tuple[Callable[..., tuple[Array, Any]], ...]
    head: Callable[[Params, Array], Array]

    def apply(
        self, params: Params, averages: Any, images: Float[Array, "n h w c"], use_batch: bool
    ) -> tuple[Float[Array, "n outputs"], Any]:
        """Return the logits, and the averages that were used.

        Args:
          params: of all parts and the head.
          averages: of all parts.
          images: a batch.
          use_batch: whether the batch's own statistics are used.
        """
        x, used = images, {}
        for index, part in enumerate(self.parts):
            name = f"part_{index}"
            x, used[name] = part(params[name], averages[name], x, use_batch)
        return self.head(params["head"], x), used


def parted_conv_net(
    num_outputs: int,
    channels: Sequence[int] = (12, 24, 48),
    *,
    layers: int = 1,
    convolution: Literal["native", "patches"] | None = None,
) -> PartedNetwork:
    """Make a network of 3 x 3 convolutions with batch normalization that keeps averages.

    A part has ``layers`` layers of convolution, normalization and ReLU. The first layer halves the
    image. The head is linear.

    Args:
      num_outputs: of the head.
      channels: filters of each part.
      layers: of each part.
      convolution: how convolutions are computed, see :func:`conv2d`.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, or there are no parts.
    """
    if not channels or min(channels) < 1:
        raise ConfigError("channels", tuple(channels), "one or more numbers of 1 or more")
    check_sizes(num_outputs=num_outputs, layers=layers)

    def init(key: Key[Array, ""], images: Float[Array, "n h w c"]) -> tuple[Params, Any]:
        _, height, width, depth = images.shape
        params: Params = {}
        averages: dict[str, Any] = {}
        for index, filters in enumerate(channels):
            part, kept = {}, {}
            for layer in range(layers):
                part[f"layer_{layer}"] = conv_params(depth, filters)
                kept[f"layer_{layer}"] = Averages(jnp.zeros(filters), jnp.ones(filters))
                depth = filters
            params[f"part_{index}"], averages[f"part_{index}"] = part, kept
            height, width = -(-height // 2), -(-width // 2)
        kernel = jnp.zeros((height * width * depth, num_outputs))
        params["head"] = {"kernel": kernel, "bias": jnp.zeros(num_outputs)}
        return draw_normals(key, params), averages

    def part(params: Params, averages: Any, x: Array, use_batch: bool) -> tuple[Array, Any]:
        used = {}
        for layer in range(layers):
            name = f"layer_{layer}"
            of = params[name]
            x = conv2d(x, of["kernel"], convolution, stride=1 if layer else 2)
            x, used[name] = normalise_by(x, of["scale"], of["bias"], averages[name], use_batch)
            x = jax.nn.relu(x)
        return x, used

    def head(params: Params, x: Array) -> Array:
        return x.reshape(len(x), -1) @ params["kernel"] + params["bias"][None]

    return PartedNetwork(init, (part,) * len(channels), head)
