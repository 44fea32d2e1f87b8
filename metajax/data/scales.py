"""How a person's numbers are standardized by those that are known."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def shift_and_factor(
    inputs: Float[np.ndarray, "n ..."], axis: int | None, least: float, smallest: float
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return what to take from numbers, and by what to multiply them then.

    Numbers that are not finite are counted out.

    Args:
      inputs: rows of features, or images.
      axis: that is averaged over; None: all of them.
      least: deviation, as a share of the mean, below which numbers do not vary: their factor is 0.
      smallest: what is added to that deviation.

    Returns:
      Mean, and inverse deviation, float64.
    """
    with np.errstate(invalid="ignore"):
        known = np.isfinite(inputs)
        number = np.maximum(known.sum(axis=axis), 1)
        shift = np.where(known, inputs, 0).sum(axis=axis, dtype=np.float64) / number
        off = np.where(known, inputs - shift, 0)
    spread = np.sqrt((off**2).sum(axis=axis) / number)
    varies = spread > least * np.abs(shift) + smallest
    return shift, np.where(varies, 1 / np.where(varies, spread, 1), 0)
