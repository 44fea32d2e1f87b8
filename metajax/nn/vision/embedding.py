"""Grids of a boundary value problem as the tokens of a vision network."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from metajax.core import ConfigError, Network, check_sizes
from metajax.nn.conv import Conv
from metajax.nn.fourier import fourier_features, grid_positions
from metajax.nn.vision.rows import batched_network, rows_dense


class Stem(nn.Module):
    """Two 3 x 3 convolutions of stride 2: a quarter of the cells along each side, rounded up."""

    channels: int
    last: Any = jax.nn.gelu

    @nn.compact
    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h4 w4 channels"]:
        for activation in (jax.nn.gelu, self.last):
            x = Conv(self.channels, stride=2)(x)
            x = activation(x)
        return x


class GridEmbedding(nn.Module):
    """Fields are those of :func:`grid_embedding`, which is the way to make one."""

    width: int
    conditions: int
    frequencies: int
    scale: float

    @nn.compact
    def __call__(self, grids: Float[Array, "n h w grids"]) -> Float[Array, "n h4 w4 width"]:
        half = self.width // 2
        masks, values, sources = jnp.split(grids, [self.conditions, 2 * self.conditions], axis=-1)
        values, sources = (
            fourier_features(x, self.frequencies, self.scale) for x in (values, sources)
        )
        gate = Stem(half, jnp.tanh, name="gate")(masks)
        boundary = Stem(half, name="mask")(masks) + gate * Stem(half, name="value")(values)
        x = jnp.concatenate([boundary, Stem(half, name="source")(sources)], axis=-1)
        x = x + jnp.asarray(grid_positions(*x.shape[1:]), x.dtype)[None]
        x = rows_dense(self.width, "out")(x.reshape(-1, self.width)).reshape(x.shape)
        return nn.GroupNorm(max(self.width // 32, 1), name="norm")(x)


def grid_embedding(
    width: int = 128,
    *,
    conditions: int = 2,
    frequencies: int = 5,
    scale: float = 0.1,
    dtype: Any = None,
) -> Network:
    """Make the embedding of HyPINO (Bischof et al. 2025, arXiv 2509.05117, section 3).

    ``grids[*batch, h, w, channels] -> tokens[*batch, h / 4, w / 4, width]``, sizes rounded up. The
    channels are ``conditions`` masks that say where a kind of boundary condition is given, as many
    grids of what is given there, and any number of sources. Values and sources go through Fourier
    features, and every stream through two 3 x 3 convolutions of stride 2. The values are multiplied
    by one stream of the masks, a second stream of the masks is added, and the sources are
    concatenated. Then come sinusoidal positions, a 1 x 1 convolution and GroupNorm. ``apply`` has
    derivatives in reverse mode alone.

    Args:
      width: of a token.
      conditions: kinds of boundary conditions.
      frequencies: of the Fourier features.
      scale: of the lowest frequency, in cycles per unit of a value; each is twice the one before.
      dtype: dtype of the computation; by default the parameters' own.

    Returns:
      The network.

    Raises:
      ConfigError: ``width`` is no multiple of 4, or above 32 none of 32; another size is below 1;
        or, when it is called, there is no source.
    """
    if width < 4 or width % 4 or (width > 32 and width % 32):
        raise ConfigError("width", width, "a multiple of 4, and of 32 if above")
    check_sizes(conditions=conditions, frequencies=frequencies)
    module = GridEmbedding(width, conditions, frequencies, scale)

    def check(grids: Array) -> None:
        if grids.shape[-1] <= 2 * conditions:
            expected = f"less than half of the {grids.shape[-1]} channels"
            raise ConfigError("conditions", conditions, expected)

    return batched_network(module, 3, check, dtype=dtype)
