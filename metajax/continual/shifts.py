"""Shifts of images, each with a traced severity: noise, blur, contrast, rotation and others."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.continual.sequences import turned
from metajax.core import ConfigError, one_of

AMOUNTS: dict[str, tuple[float, ...]] = {
    # standard deviation
    "noise": (0.0, 0.08, 0.12, 0.18, 0.26, 0.38),
    # share of the pixels
    "impulse": (0.0, 0.03, 0.06, 0.09, 0.17, 0.27),
    # standard deviation in pixels
    "blur": (0.0, 0.4, 0.6, 0.8, 1.0, 1.3),
    # factor of the distance from the image's mean
    "contrast": (1.0, 0.75, 0.5, 0.4, 0.3, 0.15),
    # what is added
    "brightness": (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    # exponent
    "gamma": (1.0, 1.3, 1.6, 2.0, 2.6, 3.4),
    # side of a block in pixels
    "pixelate": (1.0, 1.3, 1.6, 2.0, 2.5, 3.0),
    # degrees
    "rotate": (0.0, 8.0, 15.0, 22.0, 30.0, 40.0),
}
"""How much each shift does at severities 0 to 5; at 0 it does nothing."""

SHIFTS = tuple(AMOUNTS)
"""The kinds of shift, in the order in which a stream has them."""

REACH = 4
"""How far the blur looks, in pixels."""


def _noise(images: Array, amount: Array, key: Any) -> Array:
    return images + amount * jax.random.normal(key, images.shape, images.dtype)


def _impulse(images: Array, amount: Array, key: Any) -> Array:
    drawn = jax.random.uniform(key, images.shape[:3], images.dtype)[..., None]
    # of the pixels that change, half are black and half are white
    extreme = (drawn < amount / 2).astype(images.dtype)
    return jnp.where(drawn < amount, extreme, images)


def _blur(images: Array, amount: Array, key: Any) -> Array:
    places = jnp.arange(-REACH, REACH + 1, dtype=images.dtype)
    # a deviation of 0 is that of an image left as it is
    weights = jnp.exp(-jnp.square(places / jnp.maximum(amount, 1e-3)) / 2)
    weights /= jnp.sum(weights)
    for axis in (1, 2):
        size = images.shape[axis]
        room = [(0, 0)] * 4
        room[axis] = (REACH, REACH)
        padded = jnp.pad(images, room, mode="edge")
        moved = [
            weights[place] * jax.lax.slice_in_dim(padded, place, place + size, axis=axis)
            for place in range(2 * REACH + 1)
        ]
        images = sum(moved[1:], moved[0])
    return images


def _contrast(images: Array, amount: Array, key: Any) -> Array:
    mean = jnp.mean(images, (1, 2, 3), keepdims=True)
    return images + (1 - amount) * (mean - images)


def _brightness(images: Array, amount: Array, key: Any) -> Array:
    return images + amount


def _gamma(images: Array, amount: Array, key: Any) -> Array:
    return images**amount


def _pixelate(images: Array, amount: Array, key: Any) -> Array:
    def middles(size: int) -> Array:
        place = jnp.arange(size, dtype=images.dtype) + 0.5
        middle = (jnp.floor(place / amount) + 0.5) * amount
        return jnp.minimum(jnp.floor(middle).astype(jnp.int32), size - 1)

    _, height, width, _ = images.shape
    return images[:, middles(height)][:, :, middles(width)]


def _rotate(images: Array, amount: Array, key: Any) -> Array:
    return turned(images, jnp.radians(amount))


_FUNCTIONS = {
    "noise": _noise,
    "impulse": _impulse,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "gamma": _gamma,
    "pixelate": _pixelate,
    "rotate": _rotate,
}


def shift_images(
    images: Float[Array, "n h w c"],
    kind: str | int | Int32[Array, ""],
    severity: float | Float[Array, ""],
    key: Key[Array, ""],
) -> Float[Array, "n h w c"]:
    """Shift images by one kind of corruption (after Hendrycks and Dietterich, arXiv 1903.12261).

    Kind and severity may be traced, so one program serves all of them. The amounts are for small
    images and are not those of the paper's benchmark.

    Args:
      images: levels from 0 to 1.
      kind: a name in ``SHIFTS``, or its index there.
      severity: 0 to 5; between whole numbers the amount is interpolated, at 0 nothing happens.
      key: of what is drawn (noise and impulse).

    Returns:
      Images of the same shape, levels from 0 to 1.

    Raises:
      ConfigError: there is no such kind.
    """
    if isinstance(kind, str):
        kind = SHIFTS.index(one_of("kind", kind, SHIFTS))
    elif isinstance(kind, int) and not 0 <= kind < len(SHIFTS):
        raise ConfigError("kind", kind, f"0 to {len(SHIFTS) - 1}, or one of {', '.join(SHIFTS)}")
    table = jnp.asarray(list(AMOUNTS.values()), images.dtype)[kind]
    places = jnp.arange(table.size, dtype=images.dtype)
    amount = jnp.interp(jnp.asarray(severity, images.dtype), places, table)
    functions = [_FUNCTIONS[name] for name in SHIFTS]
    return jnp.clip(jax.lax.switch(kind, functions, images, amount, key), 0, 1)
