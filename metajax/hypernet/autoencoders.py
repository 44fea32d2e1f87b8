"""A variational autoencoder of vectors, such as the weights of networks (arXiv 1312.6114)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Params, check_sizes, derive
from metajax.nn import mlp, normal_divergence


class VectorAutoencoder(NamedTuple):
    """A variational autoencoder as pure functions.

    Attributes:
      init: ``init(key) -> params``.
      encode: ``encode(params, vectors[n, features]) -> (mean[n, size], log_variance[n, size])``.
      decode: ``decode(params, latents[n, size]) -> vectors[n, features]``.
    """

    init: Callable[[Key[Array, ""]], Params]
    encode: Callable[[Params, Array], tuple[Array, Array]]
    decode: Callable[[Params, Array], Array]


def vector_autoencoder(
    features: int, size: int, hidden: Sequence[int] = (256,)
) -> VectorAutoencoder:
    """Make a variational autoencoder of two multi-layer perceptrons (Kingma and Welling 2013).

    Args:
      features: of a vector.
      size: of a latent.
      hidden: sizes of the encoder's hidden layers; the decoder has them in the other order.

    Returns:
      The autoencoder.

    Raises:
      ConfigError: a size is below 1, or there is no hidden layer.
    """
    check_sizes(features=features, size=size)
    if not hidden:
        raise ConfigError("hidden", hidden, "one hidden layer or more")
    encoder = mlp(tuple(hidden), 2 * size, jax.nn.silu)
    decoder = mlp(tuple(hidden)[::-1], features, jax.nn.silu)

    def init(key: Key[Array, ""]) -> Params:
        return {
            "encoder": encoder.init(derive(key, "encoder"), jnp.zeros((1, features))),
            "decoder": decoder.init(derive(key, "decoder"), jnp.zeros((1, size))),
        }

    def encode(params: Params, vectors: Array) -> tuple[Array, Array]:
        both = encoder.apply(params["encoder"], vectors)
        return both[:, :size], both[:, size:]

    def decode(params: Params, latents: Array) -> Array:
        return decoder.apply(params["decoder"], latents)

    return VectorAutoencoder(init, encode, decode)


def autoencoder_loss(
    coder: VectorAutoencoder,
    params: Params,
    vectors: Float[Array, "n features"],
    factor: float | Float[Array, ""],
    key: Key[Array, ""],
) -> Float[Array, ""]:
    """Return the loss of a variational autoencoder, mean over vectors and over their entries.

    It is the squared distance of decoded vectors, and ``factor`` times
    :func:`metajax.nn.normal_divergence`. With a factor of 2 it is twice the negative evidence bound
    of entries of unit variance, up to a constant.

    Args:
      coder: the autoencoder.
      params: of it.
      vectors: of about unit variance in each entry.
      factor: of the divergence.
      key: of the latents that are drawn.
    """
    mean, log_variance = coder.encode(params, vectors)
    drawn = jax.random.normal(key, mean.shape, mean.dtype)
    back = coder.decode(params, mean + jnp.exp(log_variance / 2) * drawn)
    apart = jnp.sum(jnp.square(back - vectors), axis=1)
    total = apart + factor * normal_divergence(mean, log_variance)
    return jnp.mean(total) / vectors.shape[1]
