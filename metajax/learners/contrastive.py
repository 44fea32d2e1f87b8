"""The contrastive loss that brings two descriptions of the same things together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError, cross_entropy

MOST_SCALE = 100.0
"""Most that similarities are multiplied by (arXiv 2103.00020, section 2.5)."""
LEAST_SQUARE = 1e-12
"""Least squared length of a vector that is divided by it."""


def contrastive_loss(
    left: Float[Array, "n d"],
    right: Float[Array, "n d"],
    log_scale: float | Float[Array, ""] = 0.0,
) -> Float[Array, ""]:
    """Return the symmetric InfoNCE loss of pairs (CLIP; Radford et al. 2021, arXiv 2103.00020).

    It is the mean of two cross-entropies: of finding the right partner of each left vector among
    all, and the left partner of each right one. What is compared are cosines times the scale
    (InfoNCE: van den Oord et al. 2018, arXiv 1807.03748).

    Args:
      left: a vector for each pair.
      right: the same, of the other kind.
      log_scale: logarithm of the scale, which is at most ``MOST_SCALE``.

    Raises:
      ConfigError: the shapes differ.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.learners import contrastive_loss
      >>> round(float(contrastive_loss(jnp.eye(2), jnp.eye(2))), 4)  # log(1 + 1/e)
      0.3133
    """
    if left.shape != right.shape:
        raise ConfigError("right", right.shape, f"the shape of the left, {left.shape}")
    scale = jnp.minimum(jnp.exp(jnp.asarray(log_scale, left.dtype)), MOST_SCALE)
    cosines = scale * _unit(left) @ _unit(right).T
    own = jnp.arange(len(left), dtype=jnp.int32)
    return (cross_entropy(cosines, own) + cross_entropy(cosines.T, own)) / 2


def _unit(vectors: Float[Array, "n d"]) -> Float[Array, "n d"]:
    """Each vector at length 1."""
    square = jnp.sum(jnp.square(vectors), axis=1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(square, LEAST_SQUARE))
