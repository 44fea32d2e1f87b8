"""Tasks for training, validation and test, which systems over sinusoids or images share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from metajax.core import ConfigError, Network, TaskDistribution
from metajax.data import ImageSet, TaskParts, episode_parts, load_images, sinusoid_tasks
from metajax.systems.base import Objective

PIXELS = Network(
    lambda key, images: {"none": jnp.zeros(())},
    lambda params, images: images.reshape(images.shape[0], -1),
)
"""An embedding that does nothing: images are their own features."""


class PartedProblem(NamedTuple):
    """Tasks over sinusoids or images; a family adds what its methods are made of.

    Attributes:
      settings: what it was made from.
      tasks: to train on.
      valid: to measure along the way; of images, of classes that are not trained on.
      test: to evaluate on; of images, of classes that are neither trained on nor in ``valid``.
    """

    settings: Any
    tasks: TaskDistribution
    valid: TaskDistribution
    test: TaskDistribution

    @property
    def example_tasks(self) -> TaskDistribution:
        """Tasks of the shapes that training has."""
        return self.tasks

    @property
    def images(self) -> bool:
        """Whether tasks are of images."""
        return self.settings.images

    @property
    def tasks_at_once(self) -> int | None:
        """How many tasks are worked off side by side; None: all.

        One where each task's own kernels would make batched products slow: images on CPU.
        """
        return 1 if self.images and jax.default_backend() == "cpu" else None

    def setting(self) -> str:
        """Return the tasks in a few words."""
        of = self.settings
        if self.images:
            return f"{of.ways}-way {of.shots}-shot {of.base_set}"
        return f"{of.shots}-shot sinusoids"


def problem_of(kind: type[PartedProblem], *of_images: str) -> Callable[..., Any]:
    """Return what makes a family's problem of its settings, ``System.problem``.

    Args:
      kind: the family's own.
      of_images: settings that are also options of :func:`metajax.data.episode_tasks`.
    """

    def make_problem(settings: Any, training: Any, data_dir: Path | None = None) -> Any:
        if not settings.images:
            return kind(settings, *sinusoid_parts(settings))
        options = {name: getattr(settings, name) for name in of_images}
        return kind(settings, *image_parts(settings, data_dir, **options))

    return make_problem


def sinusoid_parts(config: Any) -> TaskParts:
    """Sinusoids of the config's ``shots``, ``queries`` and ``eval_queries``.

    They are drawn again each time, so validation and test are one distribution.
    """
    new = sinusoid_tasks(config.shots, config.eval_queries)
    return TaskParts(sinusoid_tasks(config.shots, config.queries), new, new)


def image_parts(config: Any, data_dir: Path | None = None, **options: Any) -> TaskParts:
    """Episodes of the config's ``base_set``, whose ``classes`` are dealt to the three parts.

    Reads ``base_set``, ``split``, ``image_size``, ``image_channels``, ``classes``, ``rotations``,
    ``ways``, ``shots`` and ``queries``; ``options`` are more of
    :func:`metajax.data.episode_tasks`.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the config does not fit the base set.
    """
    return episode_parts(
        whole_set(config, data_dir),
        config.classes,
        rotations=config.rotations,
        ways=config.ways,
        shots=config.shots,
        queries=config.queries,
        **options,
    )


def whole_set(config: Any, data_dir: Path | None = None) -> ImageSet:
    """Return the images of the config's ``base_set``, whose classes are dealt to parts.

    Reads ``base_set``, ``split``, ``image_size`` and ``image_channels``.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the base set has no such split.
    """
    size = (config.image_size, config.image_size)
    channels = config.image_channels
    return load_images(config.base_set, config.split, data_dir, size=size, channels=channels)


def check_classes(config: Any) -> None:
    """Raise where tasks are of images and have more classes than the smallest part of them.

    Raises:
      ConfigError: ``ways`` are more than ``classes`` has, with ``rotations`` four times as many.
    """
    most = (4 if config.rotations else 1) * min(config.classes)
    if config.images and config.ways > most:
        raise ConfigError(
            "ways",
            config.ways,
            f"at most {most}, the classes of the smallest part of classes = {config.classes}"
            f"{' in four rotations' if config.rotations else ''}",
        )


def score_name(of: Any) -> str:
    """Return what tasks are scored by.

    Args:
      of: a config, or a problem.
    """
    return "accuracy" if of.images else "squared error"


def objective(config: Any) -> Objective:
    """Return what runs over sinusoids or images are compared by: the last score on new tasks."""
    title = f"{score_name(config)} on new tasks"
    return Objective("rows.new_tasks.mean[-1]", config.images, "new_tasks/last", title)
