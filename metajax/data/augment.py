"""Random crops and mirror images, inside the compiled step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, indices_from


def crop_and_flip(
    images: Float[Array, "n h w c"], key: Key[Array, ""], *, crop: int = 4, flip: bool = True
) -> Float[Array, "n h w c"]:
    """Shift each image by up to ``crop`` pixels each way, zeros moving in, and mirror half of them.

    The standard augmentation of small color images (He et al. 2016, arXiv 1512.03385, section
    4.2). Zero is the mean level of normalized images.

    Args:
      images: pixels, normalized.
      key: of the draws, another for every image.
      crop: largest shift, in pixels.
      flip: mirror half of the images.

    Returns:
      Images of the same shape.

    Raises:
      ConfigError: ``crop`` is negative.
    """
    if crop < 0:
        raise ConfigError("crop", crop, "0 pixels or more")
    num, height, width, _ = images.shape
    bits = jax.random.bits(key, (3, num), jnp.uint32)
    padded = jnp.pad(images, [(0, 0), (crop, crop), (crop, crop), (0, 0)])
    tops, lefts = indices_from(bits[:2], jnp.uint32(2 * crop + 1))
    rows = tops[:, None] + jnp.arange(height)[None]
    columns = lefts[:, None] + jnp.arange(width)[None]
    if flip:
        columns = jnp.where((bits[2] >> 31 == 1)[:, None], columns[:, ::-1], columns)
    return padded[jnp.arange(num)[:, None, None], rows[:, :, None], columns[:, None]]
