"""Encodings of what a hypernetwork reads."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def unit_encoding(z: Float[Array, "*batch size"]) -> Float[Array, "*batch features"]:
    """Return each number as a point on the unit circle: ``cos(pi z / 2)`` and ``sin(pi z / 2)``.

    The squared norm is ``size`` whatever the numbers are, so a network that is homogeneous in its
    inputs makes outputs of one scale from all of them (Ortiz, Guttag and Dalca 2023, arXiv
    2304.07645, section 4). For numbers from 0 to 1 no two encodings are equal.

    Args:
      z: numbers from 0 to 1.

    Returns:
      All cosines, then all sines: ``2 * size`` numbers.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import unit_encoding
      >>> unit_encoding(jnp.array([0.0, 0.3])).shape
      (4,)
    """
    angle = np.pi / 2 * z
    return jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], axis=-1)
