"""What frozen encoders make of images: embeddings of one size and one length."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import derive

HIDDEN = 64
"""Hidden units of a random encoder."""
BIAS = 0.3
"""Deviation of their biases."""
CELLS = 2
"""Cells of a histogram of gradients, along each side."""
ORIENTATIONS = 8
"""Directions that it tells apart."""
LEAST = 1e-6
"""Added to lengths before they divide."""


def embedded(values: Float[Array, "n some"], features: int) -> Float[Array, "n features"]:
    """Return rows of one size and one length: padded with zeros, or cut, of mean square 1.

    Args:
      values: of an encoder.
      features: of an embedding.
    """
    rows = values[:, :features]
    rows = jnp.pad(rows, ((0, 0), (0, features - rows.shape[1])))
    length = jnp.sqrt(jnp.mean(jnp.square(rows), axis=1, keepdims=True))
    return rows / (length + LEAST)


def random_view(
    images: Float[Array, "n h w c"], features: int, key: Key[Array, ""]
) -> Float[Array, "n features"]:
    """Return what a network of two layers with random weights makes of images.

    Args:
      images: normalized.
      features: of an embedding.
      key: of the weights.
    """
    rows = images.reshape(len(images), -1)
    first = jax.random.normal(derive(key, "first"), (rows.shape[1], HIDDEN))
    bias = BIAS * jax.random.normal(derive(key, "bias"), (HIDDEN,))
    second = jax.random.normal(derive(key, "second"), (HIDDEN, features))
    hidden = jax.nn.relu(rows @ first * rows.shape[1] ** -0.5 + bias[None])
    return embedded(hidden @ second, features)


def gradient_view(images: Float[Array, "n h w c"], features: int) -> Float[Array, "n features"]:
    """Return histograms of the directions of gradients in cells (Dalal and Triggs 2005).

    A gradient counts by its length, and for the two nearest directions.

    Args:
      images: normalized.
      features: of an embedding.
    """
    gray = jnp.mean(images, axis=-1)
    down, right = jnp.gradient(gray, axis=(1, 2))
    length = jnp.hypot(down, right)
    place = jnp.arctan2(down, right) % (2 * np.pi) * (ORIENTATIONS / (2 * np.pi))
    directions = jnp.arange(ORIENTATIONS, dtype=place.dtype)
    away = jnp.abs(place[..., None] - directions[None, None, None])
    away = jnp.minimum(away, ORIENTATIONS - away)
    counts = length[..., None] * jnp.maximum(1 - away, 0)
    # a cell has the pixels whose place falls into it, so any size of image has all cells
    cells = [jax.nn.one_hot(jnp.arange(size) * CELLS // size, CELLS) for size in gray.shape[1:]]
    return embedded(
        jnp.einsum("nhwo,hy,wx->nyxo", counts, *cells).reshape(len(images), -1), features
    )


def profile_view(images: Float[Array, "n h w c"], features: int) -> Float[Array, "n features"]:
    """Return the mean of each row and of each column.

    Args:
      images: normalized.
      features: of an embedding.
    """
    gray = jnp.mean(images, axis=-1)
    return embedded(jnp.concatenate([gray.mean(axis=2), gray.mean(axis=1)], axis=1), features)


def spectrum_view(images: Float[Array, "n h w c"], features: int) -> Float[Array, "n features"]:
    """Return the amplitudes of the lowest spatial frequencies, which no shift changes.

    Args:
      images: normalized.
      features: of an embedding.
    """
    gray = jnp.mean(images, axis=-1)
    height, width = gray.shape[1:]
    amplitudes = jnp.abs(jnp.fft.rfft2(gray, axes=(1, 2)))
    rows, columns = np.fft.fftfreq(height, 1 / height), np.arange(width // 2 + 1)
    square = rows[:, None] ** 2 + columns[None] ** 2
    # of a frequency and its mirror image in the first column one is enough
    twice = (columns[None] == 0) & (rows[:, None] < 0)
    order = np.argsort(np.where(twice, np.inf, square), axis=None, kind="stable")
    lowest = order[: int(np.sum(~twice))][:features]
    return embedded(amplitudes.reshape(len(images), -1)[:, lowest], features)


HAND_MADE = {"gradients": gradient_view, "profiles": profile_view, "spectrum": spectrum_view}
"""Views that nobody trains: real features of the images."""
