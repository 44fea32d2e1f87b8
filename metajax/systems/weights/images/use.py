"""A trained generator with weights of its own for each of a person's images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Network, Params, described
from metajax.data import BadDataError, read_image_folder
from metajax.hypernet import modulate
from metajax.learners import EditedGenerator, edited_along, encode, image_errors
from metajax.systems.base import Use
from metajax.systems.image_sets import blank_pool
from metajax.systems.uses import image_form
from metajax.systems.weights.images.problem import of_images
from metajax.systems.weights.images.report import counted, draw_pictures
from metajax.systems.weights.problem import Problem
from metajax.using import (
    FIELD,
    Adapted,
    Told,
    check_no_steps,
    check_no_target,
    check_steps,
    read_arrays,
    read_numbers,
)

DRAWN = 12
"""Images of a figure, at most."""


@dataclass(frozen=True)
class EditedImages(Adapted):
    """Images that a generator has been edited for, and the generator of each of them.

    ``predict(latents)`` returns ``[latents, images, h, w, c]``: each latent by the generator of
    each image.

    Attributes:
      network: the generator's decoder: ``apply(weights of an image, latents[n, d]) -> images``.
      weights: of the decoder, with a leading axis of images.
      latents: of the images.
      stages: what the reconstructions are by, in words; the first is the plain generator.
      reconstructions: of the images by each stage, levels from 0 to 1.
      errors: their mean squared errors.
    """

    network: Network
    weights: Params
    latents: Float[np.ndarray, "n d"]
    stages: list[str]
    reconstructions: Float[np.ndarray, "stages n h w c"]
    errors: Float[np.ndarray, "stages n"]


@functools.partial(jax.jit, static_argnums=(0, 3))
def _edited(
    parts: EditedGenerator, params: Params, images: Float[Array, "n h w c"], passes: int
) -> tuple[Array, Params, Array, Array]:
    """Latents, weights for each image, reconstructions by stage, and their errors."""
    decoder = params["decoder"]
    latents = encode(parts.autoencoder, params, images)
    if parts.hypernet is None:
        plain = parts.autoencoder.decoder.apply(decoder, latents)
        shown = jnp.stack([plain, parts.learner.predict(params, latents, images)])
        weights = jax.tree.map(
            lambda leaf, more: jnp.broadcast_to(leaf + more, (len(images), *leaf.shape)),
            decoder,
            params["difference"],
        )
    else:
        along = edited_along(parts.autoencoder, parts.hypernet, params, latents, images, passes)
        shown, last = along.images, jax.tree.map(lambda leaf: leaf[-1], along.deltas)
        weights = jax.vmap(modulate, (None, 0))(decoder, last)
    errors = jax.vmap(lambda now: image_errors(now, images))(shown)
    return latents, weights, shown, errors


@functools.lru_cache(maxsize=64)
def _function(decoder: Network) -> Callable[..., Any]:
    """Return ``function(weights, latents) -> images``, the same one for equal networks."""

    def function(weights: Params, latents: Array) -> Float[Array, "latents images h w c"]:
        return jax.vmap(decoder.apply, (0, None), 1)(weights, latents)

    return function


def _latents(size: int, inputs: Any) -> Float[np.ndarray, "n d"]:
    """Latents as a person gave them.

    Raises:
      ConfigError: they are something else.
    """
    expected = f"latents [n, {size}]"
    array = read_numbers("inputs", inputs, (2,), expected)
    if array.shape[1] != size:
        raise ConfigError("inputs", described(array), expected)
    return array.astype(np.float32)


def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> EditedImages:
    """Edit the generator for each of a person's images.

    Args:
      run: that was trained.
      support: images, without labels.
      key: not used.
      steps: passes, of a method that makes passes; None: as many as in training.

    Raises:
      ConfigError: they are no images, there are none, or floats are no levels from 0 to 1; passes
        are below 0, or the method makes none.
    """
    parts = run.method.parts
    images = image_form(run.settings).encode("support", support)
    # a comparison with NaN is false
    if not (images.min() >= 0 and images.max() <= 1):
        expected = "images as uint8, or levels from 0 to 1"
        raise ConfigError("support", described(images), expected)
    if parts.hypernet is None:
        check_no_steps(steps)
        passes, stages = 0, ["plain", run.config.method]
    else:
        check_steps(steps)
        passes = run.options["passes"] if steps is None else steps
        stages = ["plain", *(counted(number, "pass") for number in range(1, passes + 1))]
    latents, weights, shown, errors = _edited(parts, run.params, jnp.asarray(images), passes)
    decoder = parts.autoencoder.decoder
    return EditedImages(
        _function(decoder),
        weights,
        jax.ShapeDtypeStruct(latents.shape[1:], jnp.float32),
        functools.partial(_latents, latents.shape[1]),
        np.asarray,
        decoder,
        weights,
        np.asarray(latents),
        stages,
        np.asarray(shown),
        np.asarray(errors),
    )


def _read(path: Path, target: str | None, image: tuple[int, int, int]) -> tuple[Any, list[str]]:
    """Images and their names, of a folder or of an ``.npz`` file.

    Raises:
      ConfigError: it holds something else.
    """
    check_no_target(target, "images")
    if path.is_dir():
        try:
            images, names = read_image_folder(path, image[:2], image[2])
        except BadDataError as error:
            raise ConfigError(FIELD, str(path), f"a folder of images ({error})") from error
        if not names:
            raise ConfigError(FIELD, str(path), "a folder with images directly in it")
        return images, names
    if path.suffix.lower() != ".npz":
        raise ConfigError(FIELD, str(path), "a folder of images, or an .npz file of `images`")
    images = read_arrays(path, "images")["images"]
    return images, [str(number) for number in range(len(images))]


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Edit the generator for the images of a file or folder, and tell how close it comes.

    Raises:
      ConfigError: the file or folder holds something else.
    """
    form = image_form(run.settings)
    images, names = _read(path, target, form.image)
    edited = run.adapt(images, steps=steps)
    columns: dict[str, Any] = {"image": names}
    for stage, errors in zip(edited.stages, edited.errors, strict=True):
        columns[f"error, {stage}"] = [f"{error:.6f}" for error in errors]
    said = [
        f"{mean:.5f} {stage}"
        for stage, mean in zip(edited.stages, edited.errors.mean(1), strict=True)
    ]
    lines = [f"{len(names)} images; mean squared error: " + ", ".join(said)]

    def draw() -> Any:
        shown = np.stack([form.encode("images", images), *edited.reconstructions])[:, :DRAWN]
        levels = np.rint(255 * np.clip(np.nan_to_num(shown), 0, 1)).astype(np.uint8)
        rows = [(name, levels[:, place]) for place, name in enumerate(names[:DRAWN])]
        return draw_pictures(rows, ["original", *edited.stages])

    return Told(lines, columns, draw, lambda: edited)


def blank(settings: Any) -> Problem:
    """Return a problem of the same shapes, of blank images: no set is read.

    Args:
      settings: of the problem.
    """
    pool = blank_pool(settings, settings.known_classes + 1)
    return of_images(settings, pool, pool)


use = Use(adapt, files, blank)
"""How edits of a generator are used: on images, whose classes do not matter."""
