"""From settings to HyperDistill's problem: tasks of which test and validation see other classes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax

from metajax.core import TaskDistribution
from metajax.systems.hyperdistill.settings import Settings
from metajax.systems.parts import image_parts, sinusoid_parts
from metajax.systems.training import Training


class Problem(NamedTuple):
    """Tasks of a test-bed; the test-bed itself is made by each method, of what may be traced.

    Attributes:
      settings: what it was made from.
      tasks: to train on.
      valid: to measure along the way; of images, of classes that are not trained on.
      test: to evaluate on; of images, of classes that are neither trained on nor in ``valid``.
    """

    settings: Settings
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
            return f"{of.testbed}, {of.ways}-way {of.shots}-shot {of.base_set}"
        return f"{of.shots}-shot sinusoids"


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: of meta-training.
      data_dir: folder of the data sets.

    Returns:
      The problem.

    Raises:
      MissingDataError: the base set of images is not on disk.
      ConfigError: the settings do not fit the base set.
    """
    if settings.images:
        parts = image_parts(settings, data_dir, label_noise=settings.label_noise)
    else:
        parts = sinusoid_parts(settings)
    return Problem(settings, *parts)
