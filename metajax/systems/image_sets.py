"""A set of images to train on and another of its splits to measure on, which families share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax.numpy as jnp

from metajax.core import ConfigError, Count
from metajax.data import ImagePool, device_pool, load_images

MNIST_5K = {"base_set": "mnist_5k", "train_split": "train[:80%]", "test_split": "train[80%:]"}
"""The 5,000 images of ``metajax data prepare mnist_5k``, of which 1,000 are held out."""


@dataclass(frozen=True)
class ImageSplits:
    """Which images, and of which size; a base class of a family's settings."""

    base_set: str = "digits"
    """Set of images; see `metajax data list`."""
    train_split: str = "train"
    """TFDS split that is trained on."""
    test_split: str = "test"
    """TFDS split that accuracy is measured on."""
    image_size: Count = 8
    """Height and width that images are resized to, pixels."""
    image_channels: Literal[1, 3] = 1
    """Color channels that images are converted to: 1 (gray) or 3 (RGB)."""


@contextmanager
def splits_by(field: str) -> Iterator[None]:
    """Name the setting that a split came from, where the set does not have it."""
    try:
        yield
    except ConfigError as error:
        if error.field != "split":
            raise
        raise ConfigError(field, error.value, error.expected) from error


def image_pools(settings: ImageSplits, data_dir: Path | None) -> tuple[ImagePool, ImagePool]:
    """Return the images to train on and those to measure on.

    Args:
      settings: which images.
      data_dir: folder of the data sets; None: TFDS' own.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the set has no such split, named by the field that asks for it.
    """
    size = (settings.image_size, settings.image_size)

    def pool(field: str) -> ImagePool:
        with splits_by(field):
            images = load_images(settings.base_set, getattr(settings, field), data_dir)
        return device_pool(images, size=size, channels=settings.image_channels)

    return pool("train_split"), pool("test_split")


def blank_pool(settings: ImageSplits, ways: int) -> ImagePool:
    """Return one blank image of each class: the shapes of a set that need not be on disk.

    Args:
      settings: which images.
      ways: classes.
    """
    size = settings.image_size
    images = jnp.zeros((ways, size, size, settings.image_channels), jnp.uint8)
    labels, starts = (jnp.arange(ways + more, dtype=jnp.int32) for more in (0, 1))
    return ImagePool(images, labels, starts, jnp.float32(0), jnp.float32(1), ways)
