"""A linear autoencoder of weights: the principal components of many networks."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.nn import thin_svd

SMALLEST_SCALE = 1e-6
"""Least deviation of a component that is divided by: where networks are fewer than components."""


class Principal(NamedTuple):
    """Principal components of vectors.

    Attributes:
      mean: of the vectors.
      axes: the components, orthonormal rows, that of the largest deviation first.
      scales: deviation of the vectors along each.
      share: part of the vectors' variance that lies along them.
    """

    mean: Float[Array, " n"]
    axes: Float[Array, "size n"]
    scales: Float[Array, " size"]
    share: Float[Array, ""]


def principal_components(vectors: Float[Array, "m n"], size: int) -> Principal:
    """Return the first principal components of vectors.

    Args:
      vectors: one a row, e.g. the weights of networks that began as one initialization.
      size: how many components.

    Raises:
      ConfigError: there are less than 1 or more than ``min(m - 1, n)`` components.
    """
    most = min(vectors.shape[0] - 1, vectors.shape[1])
    if not 1 <= size <= most:
        raise ConfigError("size", size, f"1 to {most} components of {vectors.shape[0]} vectors")
    mean = jnp.mean(vectors, axis=0)
    _, singular, axes = thin_svd(vectors - mean[None])
    total = jnp.maximum(jnp.sum(jnp.square(singular)), SMALLEST_SCALE**2)
    return Principal(
        mean,
        axes[:size],
        singular[:size] * (vectors.shape[0] - 1) ** -0.5,
        jnp.sum(jnp.square(singular[:size])) / total,
    )


def encode_principal(
    code: Principal, vectors: Float[Array, "*batch n"]
) -> Float[Array, "*batch size"]:
    """Return vectors as multiples of the deviations along the components.

    Args:
      code: the components.
      vectors: on the last axis.
    """
    scales = jnp.maximum(code.scales, SMALLEST_SCALE)
    centered = vectors - jnp.expand_dims(code.mean, range(vectors.ndim - 1))
    return (centered @ code.axes.T) / jnp.expand_dims(scales, range(vectors.ndim - 1))


def decode_principal(
    code: Principal, latents: Float[Array, "*batch size"]
) -> Float[Array, "*batch n"]:
    """Return the vectors of latents: nearest to those that were encoded, in the components' span.

    Args:
      code: the components.
      latents: on the last axis.
    """
    others = tuple(range(latents.ndim - 1))
    along = latents * jnp.expand_dims(jnp.maximum(code.scales, SMALLEST_SCALE), others)
    return jnp.expand_dims(code.mean, others) + along @ code.axes
