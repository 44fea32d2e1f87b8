"""Feature-wise linear modulation: a context scales and shifts channels."""

from __future__ import annotations

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


def film(
    x: Float[Array, "*axes channels"], modulation: Float[Array, "*axes both"]
) -> Float[Array, "*axes channels"]:
    """Return ``x * (1 + scale) + shift`` (Perez et al. 2018, arXiv 1709.07871).

    ``modulation`` holds ``scale`` and then ``shift``, ``both = 2 * channels``; its other axes are
    those of ``x``, or of size 1. Zeros leave ``x`` as it is.

    Args:
      x: channels last.
      modulation: scale and shift of every channel.

    Returns:
      The same shape as ``x``.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.nn import film
      >>> film(jnp.array([1.0, 2.0]), jnp.array([1.0, 0.0, 0.0, 5.0]))
      Array([2., 7.], dtype=float32)
    """
    scale, shift = jnp.split(modulation, 2, axis=-1)
    return x * (1 + scale) + shift


class FiLM(nn.Module):
    """Modulate maps by a linear function of a condition; starts as the identity."""

    @nn.compact
    def __call__(
        self, x: Float[Array, "n h w channels"], condition: Float[Array, "n size"]
    ) -> Float[Array, "n h w channels"]:
        # not named kernel: draw_normals would draw it
        shape = (condition.shape[-1], 2 * x.shape[-1])
        weight = self.param("weight", nn.initializers.zeros_init(), shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), shape[1:], jnp.float32)
        return film(x, (condition @ weight + bias[None])[:, None, None])
