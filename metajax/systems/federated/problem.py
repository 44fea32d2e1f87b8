"""From settings to episodes of base classes, and to missions of others."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.continual import MissionField, mission_draws
from metajax.core import ConfigError, Network, TaskDistribution
from metajax.data import (
    ImageSet,
    device_pool,
    episode_tasks,
    rotated_classes,
    split_classes,
)
from metajax.nn import conv_net
from metajax.systems.federated.settings import Settings, Training
from metajax.systems.parts import whole_set

ORDER = 2109_00150
"""Seed of which images are held out: the same for every run."""


class Problem(NamedTuple):
    """Episodes that an embedding is trained on, and missions that it is used in.

    Attributes:
      settings: what it was made from.
      tasks: episodes of base classes.
      field: of the missions; None: there are no images here, as where a trained run is used.
    """

    settings: Settings
    tasks: TaskDistribution
    field: MissionField | None

    @property
    def example_tasks(self) -> TaskDistribution:
        """Tasks of the shapes that training has."""
        return self.tasks

    def network(self) -> Network:
        """Return the embedding; an image's features do not depend on other images."""
        of = self.settings
        return conv_net(None, channels=of.channels, layers=of.layers, statistics="image")

    def setting(self) -> str:
        """Return the tasks in a few words."""
        of = self.settings
        turned = " in four rotations" if of.rotations else ""
        return (
            f"{of.missions} missions of {of.clients} clients, {of.new_classes} new classes each, "
            f"{of.base_set}{turned}"
        )


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    parts = split_classes(whole_set(settings, data_dir), settings.classes)
    if settings.rotations:
        parts = tuple(map(rotated_classes, parts))
    base, others = (ranked(part, settings.held_out) for part in parts)
    pool = device_pool(taken(base, settings.held_out, None))
    tasks = episode_tasks(pool, ways=settings.ways, shots=settings.shots, queries=settings.queries)
    both = joined(base, others, settings.base_ways)
    seen = taken(both, settings.held_out, settings.held_out + settings.class_images)
    held_out = taken(both, 0, settings.held_out)

    def levels(some: ImageSet) -> Float[Array, "n h w c"]:
        return pool.levels(jnp.asarray(some.images))

    missions = mission_draws(
        np.concatenate([[0], np.cumsum(np.bincount(seen.labels))]),
        given=settings.base_ways,
        rounds=settings.missions,
        clients=settings.clients,
        new_classes=settings.new_classes,
        new_ways=settings.new_ways,
        old_ways=settings.old_ways,
        shots=settings.mission_shots,
    )
    labels, held_out_labels = (jnp.asarray(some.labels, jnp.int32) for some in (seen, held_out))
    field = MissionField(levels(seen), labels, levels(held_out), held_out_labels, missions)
    return Problem(settings, tasks, field)


class Ranked(NamedTuple):
    """Images sorted by class, and the place of each within its class, in a random order."""

    images: ImageSet
    places: np.ndarray


def ranked(image_set: ImageSet, held_out: int) -> Ranked:
    """Sort images by class, in a random order within each.

    Raises:
      ConfigError: a class has no image that is not held out.
    """
    smallest = int(np.bincount(image_set.labels).min())
    if held_out >= smallest:
        expected = f"below {smallest}, the images of the smallest class"
        raise ConfigError("held_out", held_out, expected)
    mixed = np.random.default_rng(ORDER).permutation(len(image_set.labels))
    order = mixed[np.argsort(image_set.labels[mixed], kind="stable")]
    labels = image_set.labels[order]
    places = np.arange(len(labels)) - np.searchsorted(labels, labels)
    return Ranked(image_set._replace(images=image_set.images[order], labels=labels), places)


def joined(base: Ranked, others: Ranked, most: int) -> Ranked:
    """Return the first so many classes of one, and all of the other as further classes."""
    kept = base.images.labels < most
    images = np.concatenate([base.images.images[kept], others.images.images])
    labels = np.concatenate([base.images.labels[kept], others.images.labels + most])
    places = np.concatenate([base.places[kept], others.places])
    return Ranked(
        ImageSet(images, labels, most + others.images.num_classes, *base.images[3:]), places
    )


def taken(of: Ranked, first: int, end: int | None) -> ImageSet:
    """Return the images of some places within their classes."""
    kept = (of.places >= first) & (of.places < (len(of.places) if end is None else end))
    return of.images._replace(images=of.images.images[kept], labels=of.images.labels[kept])
