"""From settings to the problem of GPICL: its sets of images and the tasks made from them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp

from metajax.core import ConfigError, HostFed
from metajax.data import (
    ImagePool,
    device_pool,
    host_batches,
    is_known,
    load_images,
    noise_pool,
    open_set,
    pool_statistics,
    set_splits,
)
from metajax.systems.gpicl.settings import Settings
from metajax.systems.gpicl.tasks import (
    HostFedTasks,
    ProjectionTasks,
    projection_tasks,
    unseen,
    without_curriculum,
)
from metajax.systems.image_sets import splits_by
from metajax.systems.training import Training

TASK_KEY = 2212_04458
"""Seed of the tasks themselves: task 7 is the same task in every run, whatever its seed."""


class Problem(NamedTuple):
    """Tasks over images to train on and to evaluate on.

    Attributes:
      settings: what it was made from.
      tasks: to train on: :attr:`example_tasks` or, with ``host_fed``, batches that the host reads.
      example_tasks: the same, sampled on the device; with ``host_fed``, over noise of the images'
        statistics.
      seen: of the ids that training draws, over test images, without curriculum.
      unseen: of ids that training never draws, over test images.
      data_dir: folder of the data sets, for the other sets that are evaluated on.
    """

    settings: Settings
    tasks: ProjectionTasks | HostFed
    example_tasks: ProjectionTasks
    seen: ProjectionTasks
    unseen: ProjectionTasks
    data_dir: Path | None = None

    @property
    def identity(self) -> ProjectionTasks:
        """The task that leaves images and labels as they are, over test images."""
        return dataclasses.replace(self.unseen, identity=True)

    def setting(self) -> str:
        """Return the tasks in a few words."""
        return f"{self.settings.ways} ways of {self.settings.base_set}"


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: of meta-training.
      data_dir: folder of the data sets.

    Returns:
      The problem.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the settings do not fit the base set, or ``other_sets`` has a name that no set
        has; those that are merely not on this machine are left out of the evaluation.
    """
    for name in settings.other_sets:
        if name != "random" and not is_known(name, data_dir):
            raise ConfigError("other_sets", name, "random or a set: see `metajax data list`")
    with splits_by("train_split"):
        if settings.host_fed:
            train_pool = statistics_pool(settings, data_dir)
        else:
            train_pool = load_pool(settings, settings.base_set, settings.train_split, data_dir)
    with splits_by("test_split"):
        test_pool = load_pool(settings, settings.base_set, settings.test_split, data_dir)
    tasks = projection_tasks(
        train_pool,
        jax.random.key(TASK_KEY),
        num_tasks=settings.num_tasks,
        length=settings.examples,
        ways=settings.ways,
        sequences=settings.sequences_per_task,
        bias=settings.bias_fraction,
        min_ways=settings.min_ways,
        distorted=settings.distorted_fraction,
    )
    if settings.host_fed and settings.ways != train_pool.num_classes:
        raise ConfigError(
            "ways", settings.ways, f"{train_pool.num_classes}, all classes, where host_fed is on"
        )
    over_test_images = dataclasses.replace(tasks, pool=test_pool)
    return Problem(
        settings,
        host_fed(tasks, settings, training, data_dir) if settings.host_fed else tasks,
        tasks,
        without_curriculum(over_test_images),
        unseen(over_test_images),
        data_dir,
    )


def host_fed(
    tasks: ProjectionTasks, of: Settings, training: Training, data_dir: Path | None
) -> HostFed:
    """Return the same tasks over images that the host reads, in batches of a meta-step."""
    batches = host_batches(
        of.base_set,
        of.train_split,
        tasks_per_step=training.tasks_per_step,
        examples_per_task=(of.sequences_per_task, of.examples),
        size=(of.image_size, of.image_size),
        channels=of.image_channels,
        seed=training.seed,
        data_dir=data_dir,
    )
    return HostFed(batches, HostFedTasks(tasks))


def load_pool(settings: Settings, name: str, split: str, data_dir: Path | None) -> ImagePool:
    """Load a set's split onto the device at the settings' image size and channels."""
    size = (settings.image_size, settings.image_size)
    if name == "random":
        key = jax.random.key(TASK_KEY)
        return noise_pool(key, settings.ways, size, settings.image_channels)
    image_set = load_images(name, split, data_dir)
    return device_pool(image_set, size=size, channels=settings.image_channels)


def other_pool(
    settings: Settings, name: str, data_dir: Path | None
) -> tuple[ImagePool, str | None]:
    """Load a set that a run was not trained on, and say which split of it.

    That is the settings' ``test_split`` or, in a set that does not have it, all that it has.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: it has fewer classes than the settings' ways.
    """
    split = settings.test_split
    if name == "random":
        return load_pool(settings, name, split, data_dir), None
    try:
        pool = load_pool(settings, name, split, data_dir)
    except ConfigError as error:
        if error.field != "split":
            raise
        split = "+".join(set_splits(name, data_dir))
        pool = load_pool(settings, name, split, data_dir)
    if pool.num_classes < settings.ways:
        raise ConfigError(
            "ways", settings.ways, f"at most {pool.num_classes}, the classes of {name}"
        )
    return pool, split


def statistics_pool(settings: Settings, data_dir: Path | None) -> ImagePool:
    """A pool for host-fed tasks: the base set's statistics, and noise in place of its images."""
    size, channels = (settings.image_size, settings.image_size), settings.image_channels
    name, split = settings.base_set, settings.train_split
    classes = open_set(name, split, data_dir).num_classes
    mean, std = pool_statistics(name, split, size=size, channels=channels, data_dir=data_dir)
    noise = noise_pool(jax.random.key(TASK_KEY), classes, size, channels)
    return dataclasses.replace(noise, mean=jnp.float32(mean), std=jnp.float32(std))
