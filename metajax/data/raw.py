"""A set of labeled images on its way to disk."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class RawSet(NamedTuple):
    """A set before it is written.

    Attributes:
      shape: height, width and channels of every image.
      class_names: one per class, in the order of the labels.
      splits: a split's name to its (uint8 ``[h, w, c]`` image, label) pairs, read once.
      origin: a sentence on where the set is from.
    """

    shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    splits: dict[str, Iterable[tuple[np.ndarray, int]]]
    origin: str
