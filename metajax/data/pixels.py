"""Decoding images, and changing their size and channels, on the host."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from metajax.core import ConfigError

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def decode_image(encoded: bytes | Path, channels: int) -> UInt8[np.ndarray, "h w channels"]:
    """Decode a PNG, JPEG or the like, whatever its own mode, to grey (1), colour (3) or RGBA (4).

    Raises:
      OSError: as Pillow does, where the file or the bytes are damaged.
    """
    from PIL import Image

    file = io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded
    with Image.open(file) as image:
        pixels = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
    return pixels.reshape(*pixels.shape[:2], channels)


def resize_images(
    images: Iterable[UInt8[np.ndarray, "h w c"]],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> UInt8[np.ndarray, "n h2 w2 c2"]:
    """Bring images to one height and width, and to grey (1) or colour (3), and stack them.

    Grey becomes colour by repetition, colour becomes grey by the BT.601 luma. Shrinking by whole
    numbers takes the mean of each block; any other change of size is linear, antialiased when it
    shrinks. Levels are rounded. ``None`` leaves the size or the channels alone.

    Raises:
      ConfigError: ``size`` is not positive, ``channels`` is not 1 or 3, the images have another
        number of channels, or they differ in shape and nothing was given that they could share.
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ConfigError("size", size, "(height, width), each 1 or more")
    if channels not in (None, 1, 3):
        raise ConfigError("channels", channels, "1 (grey), 3 (colour) or None")
    stack: list[np.ndarray] | np.ndarray = (
        images if isinstance(images, np.ndarray) else list(images)
    )
    shapes = {image.shape for image in stack}
    if len(shapes) == 1:
        return _resize(np.asarray(stack), size, channels)
    resized = [_resize(image[None], size, channels) for image in stack]
    if len({image.shape for image in resized}) > 1:
        raise ConfigError(
            "size, channels", (size, channels), f"both, as images differ: {sorted(shapes)[:3]}"
        )
    return np.concatenate(resized)


def _resize(
    images: UInt8[np.ndarray, "n h w c"], size: tuple[int, int] | None, channels: int | None
) -> UInt8[np.ndarray, "n h2 w2 c2"]:
    if channels == 3 and images.shape[-1] == 1:
        return np.repeat(_resize(images, size, 1), 3, axis=-1)
    if channels == 1 and images.shape[-1] == 3:
        images = np.rint(images.astype(np.float32) @ _LUMA).astype(np.uint8)[..., None]
    if channels not in (None, images.shape[-1]):
        raise ConfigError("channels", channels, f"None, for images of {images.shape[-1]} channels")
    if size is None or tuple(size) == images.shape[1:3]:
        return images
    factors = images.shape[1] / size[0], images.shape[2] / size[1]
    if all(factor.is_integer() for factor in factors):
        return _block_means(images, int(factors[0]), int(factors[1]))
    from PIL import Image

    height, width = size
    planes = images[..., 0] if images.shape[-1] == 1 else images
    resized = [
        np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
        for plane in planes
    ]
    return np.stack(resized).reshape(len(images), height, width, images.shape[-1])


def _block_means(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Means of blocks of ``rows`` x ``columns`` pixels, halves rounded up."""
    area = rows * columns
    # adding strided views is several times faster than a reduction over two short axes
    total = np.full(images[:, ::rows, ::columns].shape, area // 2, np.uint32)
    for row in range(rows):
        for column in range(columns):
            total += images[:, row::rows, column::columns]
    return (total // area).astype(np.uint8)
