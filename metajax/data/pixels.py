"""Decoding images, and changing their size and channels, on the host."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from metajax.core import ConfigError
from metajax.data.errors import BadDataError

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


def decode_image(encoded: bytes | Path, channels: int) -> UInt8[np.ndarray, "h w channels"]:
    """Decode a PNG, JPEG or the like, whatever its own mode, to gray (1), color (3) or RGBA (4).

    Gray and color have no transparency: what shows through is white, as viewers draw it, or black
    where on white nothing at all could be seen (white ink on a transparent ground).

    Args:
      encoded: the file's bytes, or its path.
      channels: 1, 3 or 4.

    Raises:
      BadDataError: the image is damaged, of an unknown format, or above Pillow's limit of pixels.
    """
    from PIL import Image

    with _opened(encoded) as image:
        if channels == 4 or not image.has_transparency_data:
            flat = image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
        else:
            layer = image.convert("RGBA")
            for ground in ("white", "black"):
                flat = Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer)
                flat = flat.convert("L" if channels == 1 else "RGB")
                if np.ptp(np.asarray(flat)) > 0:
                    break
        pixels = np.asarray(flat)
    return pixels.reshape(*pixels.shape[:2], channels)


def image_header(path: Path) -> tuple[tuple[int, int], bool]:
    """Return an image's height and width, and whether it is gray, without decoding it.

    Raises:
      BadDataError: as :func:`decode_image`, or its pixels have more than 8 bits a channel.
    """
    with _opened(path) as image:
        size, mode = (image.height, image.width), image.mode
    if mode.startswith(("I", "F")):  # Pillow would cut its levels off at 255
        raise BadDataError(f"{path} has pixels of type {mode}; expected 8 bits per channel")
    return size, mode in ("1", "L", "LA", "La")


@contextlib.contextmanager
def _opened(encoded: bytes | Path) -> Iterator[Any]:
    """Open an image; whatever Pillow raises of it, there or as it is read, names it."""
    from PIL import Image

    file: io.BytesIO | Path
    if isinstance(encoded, bytes):
        name, file = f"an image of {len(encoded):,} bytes", io.BytesIO(encoded)
    else:
        name, file = str(encoded), encoded
    try:
        # between its limit and twice that Pillow only warns, of an image that it can read
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file) as image:
                yield image
    except Image.DecompressionBombError as error:
        raise BadDataError(
            f"{name} cannot be read as an image: {error}. Shrink it, or raise "
            "PIL.Image.MAX_IMAGE_PIXELS where you trust its origin"
        ) from error
    # damaged files raise OSError, SyntaxError, struct.error and others, by format
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise BadDataError(f"{name} cannot be read as an image: {reason}") from error


def resize_images(
    images: Iterable[UInt8[np.ndarray, "h w c"]],
    size: tuple[int, int] | None = None,
    channels: int | None = None,
) -> UInt8[np.ndarray, "n h2 w2 c2"]:
    """Bring images to one height and width, and to gray (1) or color (3), and stack them.

    Gray becomes color by repetition, color becomes gray by the BT.601 luma. Shrinking by whole
    numbers takes the mean of each block; any other change of size is linear, antialiased when it
    shrinks. Levels are rounded. ``None`` leaves the size or the channels alone.

    Args:
      images: of any height and width.
      size: height and width in pixels, or None.
      channels: 1 (gray), 3 (color) or None.

    Returns:
      All images in one array.

    Raises:
      ConfigError: ``size`` is not positive, ``channels`` is not 1 or 3, the images have another
        number of channels, or they differ in shape and nothing was given that they could share.
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ConfigError("size", size, "(height, width), each 1 or more")
    if channels not in (None, 1, 3):
        raise ConfigError("channels", channels, "1 (gray), 3 (color) or None")
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
