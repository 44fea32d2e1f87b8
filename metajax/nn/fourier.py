"""Fourier features of coordinates and values, and sinusoidal positions of a grid."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def fourier_features(
    x: Float[Array, "*batch size"], frequencies: int = 5, scale: float = 0.1
) -> Float[Array, "*batch features"]:
    """Return sines and cosines of ``2 pi scale 2^i x``, ``i < frequencies``, and ``x`` itself.

    Of each number ``2 * frequencies + 1``: all sines, all cosines, then ``x``; within the first
    two, the frequencies of the first number come first. Tancik et al. 2020, arXiv 2006.10739.

    Args:
      x: coordinates on the last axis.
      frequencies: how many.
      scale: of the lowest frequency, in periods a unit.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.nn import fourier_features
      >>> fourier_features(jnp.zeros((5, 2)), frequencies=3).shape
      (5, 14)
    """
    factors = (2 * np.pi * scale * 2.0 ** np.arange(frequencies)).astype(x.dtype)
    angles = (x[..., None] * factors.reshape((1,) * x.ndim + (-1,))).reshape(*x.shape[:-1], -1)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles), x], axis=-1)


def grid_positions(height: int, width: int, channels: int) -> Float[np.ndarray, "h w channels"]:
    """Return the sinusoidal encoding of rows, then of columns, half of the channels each.

    A position ``p`` is encoded by ``sin(p w_k), cos(p w_k)``, interleaved, with ``w_k = 10000 **
    (-k / pairs)`` for as many pairs as fit (Vaswani et al. 2017, arXiv 1706.03762, section 3.5).
    ``channels`` must be a multiple of 4.

    Args:
      height: in cells.
      width: in cells.
      channels: a multiple of 4.
    """
    pairs = channels // 4
    rates = 10_000.0 ** (-np.arange(pairs) / pairs)

    def encode(size: int) -> np.ndarray:
        angles = np.arange(size)[:, None] * rates[None]
        return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(size, 2 * pairs)

    shape = (height, width, 2 * pairs)
    rows = np.broadcast_to(encode(height)[:, None], shape)
    columns = np.broadcast_to(encode(width)[None], shape)
    return np.concatenate([rows, columns], axis=-1).astype(np.float32)
