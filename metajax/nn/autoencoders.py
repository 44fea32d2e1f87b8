"""A small convolutional autoencoder: images to the normal distribution of a latent, and back."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import Network, Params, check_sizes
from metajax.nn.conv import Conv
from metajax.nn.initial import draw_normals, drawn_later


class Autoencoder(NamedTuple):
    """Two networks, of which the second is a generator of images.

    Attributes:
      encoder: ``apply(params, images [n, h, w, c]) -> (means, log_variances)``, each
        ``[n, latents]``.
      decoder: ``apply(params, latents [n, latents]) -> images [n, h, w, c]``, levels between 0 and
        1. Each convolution has a ``kernel`` of four axes.
    """

    encoder: Network
    decoder: Network


class Linear(nn.Module):
    """An affine map with flax's names of parameters, drawn with all others."""

    outputs: int

    @nn.compact
    def __call__(self, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
        kernel = self.param("kernel", drawn_later, (x.shape[-1], self.outputs))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.outputs,))
        return x @ kernel + bias[None]


class Encoder(nn.Module):
    """Two convolutions that each halve the grid, and a linear map."""

    outputs: int
    channels: int

    @nn.compact
    def __call__(self, images: Float[Array, "n h w c"]) -> Float[Array, "n outputs"]:
        x = jax.nn.gelu(Conv(self.channels, stride=2, name="conv_0")(images))
        x = jax.nn.gelu(Conv(2 * self.channels, stride=2, name="conv_1")(x))
        return Linear(self.outputs, name="head")(x.reshape(len(x), -1))


class Decoder(nn.Module):
    """A linear map to a grid, then three convolutions, with the grid doubled before two of them."""

    shape: tuple[int, int, int]
    channels: int

    @nn.compact
    def __call__(self, latents: Float[Array, "n latents"]) -> Float[Array, "n h w c"]:
        height, width, depth = self.shape
        rows, columns = -(-height // 4), -(-width // 4)
        x = Linear(rows * columns * self.channels, name="grid")(latents)
        x = jax.nn.gelu(x.reshape(-1, rows, columns, self.channels))
        for layer in range(2):
            x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
            x = jax.nn.gelu(Conv(self.channels, name=f"conv_{layer}")(x))
        return jax.nn.sigmoid(Conv(depth, name="conv_2")(x[:, :height, :width]))


def _drawn(module: nn.Module) -> Network:
    def init(key: Key[Array, ""], x: Array) -> Params:
        return draw_normals(key, module.init(key, x)["params"])

    return Network(init, lambda params, x: module.apply({"params": params}, x))


def conv_encoder(num_outputs: int, *, channels: int = 16) -> Network:
    """Make a network of two 3 x 3 convolutions of stride 2 with GELU, and a linear head.

    ``apply(params, images [n, h, w, c]) -> [n, num_outputs]``. Nothing is normalized, so that the
    levels of an image are seen.

    Args:
      num_outputs: of the head.
      channels: of the first convolution; the second has twice as many.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(num_outputs=num_outputs, channels=channels)
    return _drawn(Encoder(num_outputs, channels))


def conv_autoencoder(
    shape: tuple[int, int, int], *, latents: int = 8, channels: int = 16
) -> Autoencoder:
    """Make a variational autoencoder of images (Kingma and Welling 2014, arXiv 1312.6114).

    All convolutions are 3 x 3, with GELU between them. They are :func:`conv2d`, so kernels of each
    example's own are products of matrices under ``vmap``.

    Args:
      shape: height, width and channels of an image.
      latents: numbers that an image is encoded as.
      channels: of the decoder's convolutions and the encoder's first; its second has twice as many.

    Returns:
      Its two networks.

    Raises:
      ConfigError: a size is below 1.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import conv_autoencoder
      >>> encoder, decoder = conv_autoencoder((7, 6, 1), latents=3, channels=4)
      >>> images = jnp.ones((2, 7, 6, 1))
      >>> means, log_variances = encoder.apply(encoder.init(jax.random.key(0), images), images)
      >>> decoder.apply(decoder.init(jax.random.key(1), means), means).shape
      (2, 7, 6, 1)
    """
    height, width, depth = shape
    check_sizes(height=height, width=width, depth=depth, latents=latents, channels=channels)
    encoder = conv_encoder(2 * latents, channels=channels)

    def encode(params: Params, images: Array) -> tuple[Array, Array]:
        means, log_variances = jnp.split(encoder.apply(params, images), 2, axis=-1)
        return means, log_variances

    return Autoencoder(
        Network(encoder.init, encode), _drawn(Decoder((height, width, depth), channels))
    )


def normal_divergence(
    mean: Float[Array, "*n size"], log_variance: Float[Array, "*n size"]
) -> Float[Array, " *n"]:
    """Return the divergence of a normal distribution from the standard one: KL(own || standard).

    Its entries are independent (arXiv 1312.6114, appendix B).

    Args:
      mean: of each entry.
      log_variance: logarithm of each entry's variance.
    """
    each = jnp.square(mean) + jnp.exp(log_variance) - 1 - log_variance
    return jnp.sum(each, axis=-1) / 2


def variational_loss(
    autoencoder: Autoencoder,
    encoder: Params,
    decoder: Params,
    images: Float[Array, "n h w c"],
    noise: float | Float[Array, ""],
    key: Key[Array, ""],
) -> Float[Array, ""]:
    """Return the negative evidence lower bound for each pixel, but for a constant.

    The mean squared error over ``2 noise ** 2``, and the divergence of the latent's distribution
    from the standard normal one (Kingma and Welling 2014, arXiv 1312.6114, equation 10).

    Args:
      autoencoder: the networks.
      encoder: its parameters.
      decoder: its parameters.
      images: levels between 0 and 1.
      noise: standard deviation of a pixel about its mean, in levels.
      key: of the latents.

    Returns:
      The bound for each pixel, the mean over images.
    """
    means, log_variances = autoencoder.encoder.apply(encoder, images)
    draws = jax.random.normal(key, means.shape, means.dtype)
    latents = means + jnp.exp(log_variances / 2) * draws
    error = jnp.mean(jnp.square(autoencoder.decoder.apply(decoder, latents) - images))
    per_image = jnp.mean(normal_divergence(means, log_variances))
    return error / (2 * noise**2) + per_image / math.prod(images.shape[1:])
