"""Images of one set in another look, so that training meets more than the set has."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

STEPS = 0.4
"""How often levels go through a soft step, else through a power."""
EDGES = 0.35
"""How often edges are mixed in."""


def distort(images: Float[Array, "n h w c"], key: Key[Array, ""]) -> Float[Array, "n h w c"]:
    """Return images that all went through one random change of look, with mean 0 and deviation 1.

    Levels go through a power between 1/e and e or through a soft step, which leaves strokes; then
    edges, the differences from the mean of the four neighbors, may be mixed in.

    Args:
      images: levels between 0 and 1.
      key: of the draw.
    """
    power, slope, middle, is_step, has_edges, share = jax.random.uniform(key, (6,))
    step = jax.nn.sigmoid(jnp.exp(1 + 3 * slope) * (images - 0.15 - 0.6 * middle))
    found = jnp.where(is_step < STEPS, step, images ** jnp.exp(2 * power - 1))
    padded = jnp.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    rows, columns = padded[:, :, 1:-1], padded[:, 1:-1]
    around = (rows[:, :-2] + rows[:, 2:] + columns[:, :, :-2] + columns[:, :, 2:]) / 4
    edges = 2 * jnp.abs(images - around)
    found = jnp.where(has_edges < EDGES, share * found + (1 - share) * edges, found)
    return (found - jnp.mean(found)) / (jnp.std(found) + 1e-3)
