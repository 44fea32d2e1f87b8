"""Pools of images that live on the device, sampled inside the compiled step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, UInt8, UInt32

from metajax.core import ConfigError, indices_from, random_indices, register_dataclass
from metajax.data.images import ImageSet
from metajax.data.pixels import resize_images


@register_dataclass
@dataclass(frozen=True)
class ImagePool:
    """Labeled images as a pytree: pass it to a compiled function as an argument.

    Attributes:
      images: levels 0 to 255, sorted by class.
      labels: class indices, ascending.
      class_starts: images of class ``c`` are ``class_starts[c]`` to ``class_starts[c + 1] - 1``.
      mean: mean of ``images / 255`` over all examples, pixels and channels.
      std: their standard deviation.
      num_classes: how many classes there are, each with at least one image. Static.
    """

    images: UInt8[Array, "n h w c"]
    labels: Int[Array, " n"]
    class_starts: Int[Array, " num_classes_plus_1"]
    mean: Float[Array, ""]
    std: Float[Array, ""]
    num_classes: int = field(metadata={"static": True})

    @property
    def num_features(self) -> int:
        """Numbers per normalized image, ``h * w * c``."""
        return math.prod(self.images.shape[1:])

    def examples(
        self, key: Key[Array, ""], num: int
    ) -> tuple[Float[Array, "num features"], Int[Array, " num"]]:
        """Draw ``num`` examples, uniformly with replacement: normalized inputs and labels."""
        indices = random_indices(key, (num,), jnp.uint32(self.images.shape[0]))
        return self.normalise(self.images[indices]), self.labels[indices]

    def examples_of(
        self, key: Key[Array, ""], classes: Int[Array, " num"]
    ) -> Float[Array, "num features"]:
        """Draw one normalized image of each given class, uniformly among that class's images."""
        return self.examples_from(jax.random.bits(key, classes.shape, jnp.uint32), classes)

    def examples_from(
        self, bits: UInt32[Array, " num"], classes: Int[Array, " num"]
    ) -> Float[Array, "num features"]:
        """As :meth:`examples_of`, from random bits already drawn."""
        starts = self.class_starts[classes]
        sizes = (self.class_starts[classes + 1] - starts).astype(jnp.uint32)
        indices = starts + indices_from(bits, sizes)
        return self.normalise(self.images[indices])

    def levels(self, images: UInt8[Array, "*batch h w c"]) -> Float[Array, "*batch h w c"]:
        """Return images as :meth:`normalise` does, without flattening them."""
        return _levels(images, self.mean, self.std)

    def normalise(self, images: UInt8[Array, "*batch h w c"]) -> Float[Array, "*batch features"]:
        """Apply :func:`normalise` with the pool's own mean and standard deviation."""
        return normalise(images, self.mean, self.std)


def normalise(
    images: UInt8[Array, "*batch h w c"],
    mean: Float[Array, ""] | float,
    std: Float[Array, ""] | float,
) -> Float[Array, "*batch features"]:
    """Flatten images, scale their levels to [0, 1], subtract ``mean`` and divide by ``std``.

    The order and the single mean and deviation per set are those of GPICL (arXiv 2212.04458).

    Args:
      images: levels from 0 to 255.
      mean: of the levels over 255.
      std: of the levels over 255.

    Returns:
      Numbers ``[*batch, h * w * c]``, of about mean 0 and variance 1.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.data import normalise
      >>> normalise(jnp.full((1, 2, 2, 1), 255, jnp.uint8), 0.5, 0.25)
      Array([[2., 2., 2., 2.]], dtype=float32)
    """
    flat = images.reshape(*images.shape[:-3], math.prod(images.shape[-3:]))
    return _levels(flat, mean, std)


def _levels(images: Array, mean: Any, std: Any) -> Array:
    return (images.astype(jnp.float32) / 255.0 - mean) / std


def level_statistics(images: UInt8[np.ndarray, "..."]) -> tuple[float, float]:
    """Return the mean and the standard deviation of ``images / 255`` over all their entries.

    Exact to float64: the 256 levels are counted first.

    Raises:
      ConfigError: every entry is the same, so nothing could be divided by the deviation.
    """
    # in parts, as bincount widens its input to 64 bits
    parts = np.array_split(images.reshape(-1), 1 + images.size // 2**24)
    counts = np.sum([np.bincount(part, minlength=256) for part in parts], axis=0)
    levels = np.arange(256) / 255.0
    mean = float(counts @ levels / counts.sum())
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
    if std == 0.0:
        raise ConfigError("images", f"all at level {mean * 255:.0f}", "images that vary")
    return mean, std


def device_pool(
    image_set: ImageSet,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    max_bytes: int | None = None,
) -> ImagePool:
    """Put a set on the default device, at ``size`` (height, width) and ``channels`` (1 or 3).

    Resizing happens once, on the host (see :func:`metajax.data.pixels.resize_images`); ``mean``
    and ``std`` are those of the resized images. ``max_bytes`` bounds the images' bytes; None
    means half of the device's free memory, and no bound where the device does not report it.

    Args:
      image_set: images in host memory.
      size: height and width in pixels to resize to; None keeps them.
      channels: 1 or 3; None keeps them.
      max_bytes: bound of the images' bytes.

    Returns:
      The pool, whose arrays are on the device.

    Raises:
      ConfigError: the pool would be larger than allowed (nothing has been resized or transferred
        by then), a class holds no image, or a setting is not one of those above.
    """
    num, height, width, depth = image_set.images.shape
    height, width = size or (height, width)
    num_bytes = num * height * width * (channels or depth)
    limit = _free_bytes() if max_bytes is None else max_bytes
    if limit is not None and num_bytes > limit:
        raise ConfigError(
            "max_bytes",
            max_bytes,
            f"at least the {num_bytes:,} bytes of {num:,} images of {height}x{width}x"
            f"{channels or depth}; the limit on this device is {limit:,} bytes. Take a smaller "
            "size or split, or feed the set from the host with metajax.data.host_batches",
        )
    per_class = np.bincount(image_set.labels, minlength=image_set.num_classes)
    if not per_class.all():
        empty = np.flatnonzero(per_class == 0)
        named = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        raise ConfigError(
            "image_set",
            f"{image_set.name} {image_set.split}",
            f"an image of every class, but {len(empty)} of {image_set.num_classes} hold none: "
            f"{named} (metajax.data.select_classes keeps the others)",
        )
    order = np.argsort(image_set.labels, kind="stable")
    images = resize_images(image_set.images[order], size, channels)
    mean, std = level_statistics(images)
    return ImagePool(
        images=jnp.asarray(images),
        labels=jnp.asarray(image_set.labels[order], jnp.int32),
        class_starts=jnp.asarray(np.concatenate([[0], np.cumsum(per_class)]), jnp.int32),
        mean=jnp.float32(mean),
        std=jnp.float32(std),
        num_classes=image_set.num_classes,
    )


def noise_pool(
    key: Key[Array, ""],
    num_classes: int = 10,
    size: tuple[int, int] = (14, 14),
    channels: int = 1,
) -> ImagePool:
    """Make a pool of one image of uniform noise per class.

    With ten classes it is the "Random" set of GPICL (arXiv 2212.04458, Table 1).

    Args:
      key: of the noise.
      num_classes: images, each a class.
      size: height and width in pixels.
      channels: 1 or 3.

    Returns:
      The pool.
    """
    images = jax.random.bits(key, (num_classes, *size, channels), jnp.uint8)
    scaled = images.astype(jnp.float32) / 255.0
    return ImagePool(
        images=images,
        labels=jnp.arange(num_classes, dtype=jnp.int32),
        class_starts=jnp.arange(num_classes + 1, dtype=jnp.int32),
        mean=scaled.mean(),
        std=scaled.std(),
        num_classes=num_classes,
    )


def _free_bytes() -> int | None:
    """Half of what the default device says is free; None where it does not say (CPU)."""
    stats = _default_device().memory_stats()
    if not stats or "bytes_limit" not in stats:
        return None
    return (stats["bytes_limit"] - stats.get("bytes_in_use", 0)) // 2


def _default_device() -> jax.Device:
    # where an array goes, which jax.default_device may have set for a block
    return next(iter(jnp.zeros(()).devices()))
