"""Images of known classes to train a generator and its edits on, and of unseen ones to measure."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError, Task, random_indices, register_dataclass
from metajax.data import ImagePool
from metajax.nn import Autoencoder, conv_autoencoder
from metajax.systems.weights.images.settings import Settings
from metajax.systems.weights.problem import Problem, reading

CHOICE_SEED = 2111_15666
"""Seed of the images that are measured: the same for every run."""


@register_dataclass
@dataclass(frozen=True)
class ImageDraws:
    """Images to reconstruct, as support and as query; drawn uniformly with replacement.

    Attributes:
      images: levels from 0 to 1.
      num: images of a draw. Static.
    """

    images: Float[Array, "n h w c"]
    num: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        rows = random_indices(key, (self.num,), jnp.uint32(len(self.images)))
        return Task(self.images[rows], self.images[rows])


@register_dataclass
@dataclass(frozen=True)
class EditImages:
    """Images that edits are trained and measured on; all levels are from 0 to 1.

    Attributes:
      train: images of known classes.
      labels: their classes.
      chosen: some of them, by which learning rates of tuning are chosen.
      known: held-out images of known classes.
      known_labels: their classes.
      unseen: images of the other classes, on which nothing is trained.
      classes: how many classes are known. Static.
    """

    train: Float[Array, "n h w c"]
    labels: Int32[Array, " n"]
    chosen: Float[Array, "m h w c"]
    known: Float[Array, "m h w c"]
    known_labels: Int32[Array, " m"]
    unseen: Float[Array, "u h w c"]
    classes: int = field(metadata={"static": True})

    @property
    def called(self) -> str:
        """What they are, in a few words."""
        return f"generator of {self.classes} classes"


def make_edit_images(settings: Settings, train: ImagePool, test: ImagePool) -> EditImages:
    """Take images of some settings; those that are measured are the same for all runs.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on.

    Raises:
      ConfigError: all classes would be known.
    """
    known, classes = settings.known_classes, train.num_classes
    if known >= classes:
        raise ConfigError("known_classes", known, f"1 to {classes - 1}, fewer than the classes")

    def part(pool: ImagePool, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        labels = np.asarray(pool.labels)
        rows = np.flatnonzero((labels >= first) & (labels < last))
        return np.asarray(pool.images)[rows].astype(np.float32) / 255, labels[rows]

    def some(images: np.ndarray, labels: np.ndarray) -> tuple[Array, Array]:
        rows = np.random.default_rng(CHOICE_SEED).permutation(len(images))[: settings.edit_images]
        return jnp.asarray(images[rows]), jnp.asarray(labels[rows], jnp.int32)

    images, labels = part(train, 0, known)
    held, held_labels = some(*part(test, 0, known))
    return EditImages(
        jnp.asarray(images),
        jnp.asarray(labels, jnp.int32),
        some(images, labels)[0],
        held,
        held_labels,
        some(*part(test, known, classes))[0],
        known,
    )


# the same networks for all seeds, so that each program is compiled once
_generator = functools.lru_cache(conv_autoencoder)


class EditProblem(Problem):
    """The problem of edits."""

    @property
    def autoencoder(self) -> Autoencoder:
        """The networks of the generator."""
        of = self.settings
        shape = (of.image_size, of.image_size, of.image_channels)
        return _generator(shape, latents=of.latent_size, channels=of.generator_channels)


def of_images(settings: Settings, train: ImagePool, test: ImagePool) -> EditProblem:
    """Make the problem of some settings with given images.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
    """
    images = make_edit_images(settings, train, test)
    tasks = ImageDraws(images.train, settings.examples)
    return EditProblem(settings, tasks, test, images, images.classes)


make_problem = reading(of_images)
