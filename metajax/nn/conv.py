"""Convolutions, and the small networks of convolution blocks that few-shot learning uses."""

from __future__ import annotations

import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, check_sizes, one_of
from metajax.nn.initial import draw_normals, drawn_later
from metajax.nn.modulation import film

EPSILON = 1e-5
"""Added to a variance before its root is divided by."""


def conv2d(
    images: Float[Array, "n h w c"],
    kernel: Float[Array, "rows columns c channels"],
    method: Literal["native", "patches"] | None = None,
    *,
    stride: int = 1,
) -> Float[Array, "n h2 w2 channels"]:
    """Convolve with as many zeros around as keep the size, and keep every ``stride``-th pixel.

    ``native`` is XLA's convolution; ``patches`` copies every pixel's neighborhood into a row and
    multiplies matrices, or copies its column alone and adds the products of the columns next to it,
    where that moves fewer numbers. Both are the same numbers to rounding. None chooses by the
    default backend: patches on CPU, where XLA's convolution is several times slower once every
    task has its own kernel, and its derivatives ten times inside a loop, as meta-steps are
    (github.com/jax-ml/jax/issues/12868); native elsewhere.

    Args:
      images: a batch, channels last.
      kernel: rows and columns are odd numbers.
      method: how it is computed.
      stride: in pixels, both ways.

    Returns:
      Images of ``ceil(h / stride)`` by ``ceil(w / stride)`` pixels.
    """
    if method is None:
        method = "patches" if jax.default_backend() == "cpu" else "native"
    num, height, width, depth = images.shape
    rows, columns, _, channels = kernel.shape
    # XLA's SAME: the smaller half of the zeros goes first
    above, beside = (((size - 1) // 2, size // 2) for size in (rows, columns))
    if method == "native":
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            (stride, stride),
            (above, beside),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )
    if stride > 1 or rows * columns * depth <= rows * depth + columns * channels:
        padded = jnp.pad(images, [(0, 0), above, beside, (0, 0)])
        shifted = [
            padded[:, i : i + height : stride, j : j + width : stride]
            for i in range(rows)
            for j in range(columns)
        ]
        stacked = jnp.concatenate(shifted, axis=-1)
        patches = stacked.reshape(-1, rows * columns * depth)
        return (patches @ kernel.reshape(-1, channels)).reshape(*stacked.shape[:-1], channels)
    padded = jnp.pad(images, [(0, 0), above, (0, 0), (0, 0)])
    patches = jnp.concatenate([padded[:, i : i + height] for i in range(rows)], axis=-1)
    by_column = kernel.swapaxes(1, 2).reshape(rows * depth, columns * channels)
    products = (patches.reshape(-1, rows * depth) @ by_column).reshape(num, height, width, -1)
    products = jnp.pad(products, [(0, 0), (0, 0), beside, (0, 0)])
    shifted = [
        products[:, :, j : j + width, j * channels : (j + 1) * channels] for j in range(columns)
    ]
    return functools.reduce(jnp.add, shifted)


class Conv(nn.Module):
    """:func:`conv2d` with a bias, as a module with flax's names of parameters."""

    channels: int
    size: int = 3
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 channels"]:
        shape = self.size, self.size, x.shape[-1], self.channels
        kernel = self.param("kernel", drawn_later, shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.channels,))
        return conv2d(x, kernel, stride=self.stride) + bias[None, None, None]


def batch_normalise(
    x: Float[Array, "*batch channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
) -> Float[Array, "*batch channels"]:
    """Normalize each channel over the batch at hand, then scale and shift it.

    There are no running averages: a batch is always normalized by itself (Finn et al. 2017,
    arXiv 1703.03400), so an example's output depends on the others it comes with.

    Args:
      x: a batch, channels last.
      scale: of each channel.
      bias: of each channel.

    Returns:
      The same shape.
    """
    return _normalise(x, scale, bias, tuple(range(x.ndim - 1)))


def image_normalise(
    x: Float[Array, "n h w channels"],
    scale: Float[Array, " channels"],
    bias: Float[Array, " channels"],
) -> Float[Array, "n h w channels"]:
    """Normalize each channel over the pixels of each image, then scale and shift it.

    An image's output does not depend on the others it comes with (instance normalization: Ulyanov
    et al. 2016, arXiv 1607.08022). The pixels of an image of one pixel become ``bias``.

    Args:
      x: a batch, channels last.
      scale: of each channel.
      bias: of each channel.

    Returns:
      The same shape.
    """
    return _normalise(x, scale, bias, (1, 2))


def _normalise(x: Array, scale: Array, bias: Array, axes: tuple[int, ...]) -> Array:
    centered = x - jnp.mean(x, axes, keepdims=True)
    deviation = jax.lax.rsqrt(jnp.mean(jnp.square(centered), axes, keepdims=True) + EPSILON)
    expand = (None,) * (x.ndim - 1)
    return centered * deviation * scale[expand] + bias[expand]


def max_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Keep the largest of every 2 x 2 pixels; an odd last row or column is dropped.

    Args:
      x: a batch, channels last.

    Returns:
      Half the rows and columns, rounded down.
    """
    # Not the maximum over reshaped axes: its derivative compares every entry with the maximum, and
    # where XLA:CPU computes an entry twice, in two fusions that round differently, finds none.
    _, height, width, _ = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    rows = jnp.maximum(even[:, ::2], even[:, 1::2])
    return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def conv_block(
    params: Params,
    x: Float[Array, "n h w c"],
    context: Float[Array, " size"] | None = None,
    statistics: Literal["batch", "image"] = "batch",
) -> Float[Array, "n h2 w2 channels"]:
    """Convolve, normalize, take ReLU and pool, unless there is one pixel left.

    ``params`` holds ``kernel``, ``scale`` and ``bias``, as :func:`conv_net` makes them, and, with a
    ``context`` that scales and shifts channels, ``film``.

    Args:
      params: of the block.
      x: a batch of images.
      context: numbers that scale and shift channels, or None.
      statistics: normalize over the batch, or over the pixels of each image.

    Returns:
      Images of half the height and width.
    """
    x = conv2d(x, params["kernel"])
    normalised = batch_normalise if statistics == "batch" else image_normalise
    x = normalised(x, params["scale"], params["bias"])
    if context is not None:
        x = film(x, (context @ params["film"]["kernel"])[None, None, None])
    x = jax.nn.relu(x)
    return max_pool(x) if min(x.shape[1:3]) > 1 else x


def conv_net(
    num_outputs: int | None,
    *,
    channels: int = 64,
    layers: int = 4,
    kernel_size: int = 3,
    context_size: int | None = None,
    statistics: Literal["batch", "image"] = "batch",
) -> Network:
    """Make the usual few-shot network: ``layers`` blocks and a linear head, or features (None).

    A block is a convolution of ``channels`` filters, batch statistics of the batch at hand, ReLU
    and 2 x 2 max pooling (Vinyals et al. 2016, arXiv 1606.04080; Finn et al. 2017). Images are
    ``[n, h, w, c]``, outputs ``[n, num_outputs]``; params are ``conv_0``, ``conv_1``, ... and
    ``head``. With ``num_outputs`` None there is no head, and outputs are what the last block
    leaves, ``[n, features]``. Kernels start LeCun-normal.

    With a ``context_size`` the network is called with images and a context ``[context_size]``, of
    which a linear map scales and shifts every block's channels behind the normalization (FiLM:
    Perez et al. 2018, arXiv 1709.07871): a context that is appended to the images would be lost
    there, being the same for all of them.

    Args:
      num_outputs: outputs of the head, or None for features.
      channels: filters of a block.
      layers: blocks.
      kernel_size: odd, in pixels.
      context_size: numbers of a context, or None for none.
      statistics: normalize over the batch at hand, or over the pixels of each image. With
        ``image`` the features of an image do not depend on the batch that it comes with.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1, ``kernel_size`` is even, or there are no such statistics.
    """
    check_sizes(
        num_outputs=num_outputs,
        channels=channels,
        layers=layers,
        kernel_size=kernel_size,
        context_size=context_size,
    )
    if kernel_size % 2 == 0:
        raise ConfigError("kernel_size", kernel_size, "an odd number")
    one_of("statistics", statistics, ("batch", "image"))

    def init(key: Key[Array, ""], images: Float[Array, "n h w c"], context: Any = None) -> Params:
        _, height, width, depth = images.shape
        params: Params = {}
        for layer in range(layers):
            params[f"conv_{layer}"] = conv_params(depth, channels, kernel_size)
            if context_size is not None:
                film = {"kernel": jnp.zeros((context_size, 2 * channels))}
                params[f"conv_{layer}"]["film"] = film
            depth = channels
            if min(height, width) > 1:
                height, width = height // 2, width // 2
        if num_outputs is not None:
            params["head"] = {
                "kernel": jnp.zeros((height * width * depth, num_outputs)),
                "bias": jnp.zeros(num_outputs),
            }
        return draw_normals(key, params)

    def apply(
        params: Params, images: Float[Array, "n h w c"], context: Any = None
    ) -> Float[Array, "n outputs"]:
        x = images
        for layer in range(layers):
            x = conv_block(params[f"conv_{layer}"], x, context, statistics)
        x = x.reshape(x.shape[0], -1)
        if num_outputs is None:
            return x
        return x @ params["head"]["kernel"] + params["head"]["bias"][None]

    return Network(init, apply)


def conv_params(depth: int, channels: int, kernel_size: int = 3) -> Params:
    """Return a block's parameters, its ``kernel`` still to be drawn by ``draw_normals``.

    Args:
      depth: channels that come in.
      channels: filters.
      kernel_size: odd, in pixels.

    Returns:
      ``kernel``, ``scale`` and ``bias``.
    """
    return {
        "kernel": jnp.zeros((kernel_size, kernel_size, depth, channels)),
        "scale": jnp.ones(channels),
        "bias": jnp.zeros(channels),
    }
