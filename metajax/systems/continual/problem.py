"""From settings to a sequence of tasks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.continual import TaskSequence, permuted, rotated, sequence_tasks, split
from metajax.core import ConfigError, Network, Staged, TaskDistribution, at_step
from metajax.nn import mlp
from metajax.systems.continual.settings import Settings, Training
from metajax.systems.image_sets import image_pools

TASK_KEY = 1906_00695
"""Seed of the permutations: every run has the same tasks, whatever its seed."""


class Problem(NamedTuple):
    """A sequence of tasks, and the network that each of them is learned with.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on: the step tells the task.
      sequence: the tasks, with held-out examples.
      steps_per_task: meta-steps of each.
      mean: that is taken from levels of 0 to 1.
      std: that they are divided by then.
    """

    settings: Settings
    tasks: Staged
    sequence: TaskSequence
    steps_per_task: int
    mean: Float[Array, ""]
    std: Float[Array, ""]

    @property
    def example_tasks(self) -> TaskDistribution:
        """Draws of the first task."""
        return at_step(self.tasks)

    @property
    def num_tasks(self) -> int:
        """Tasks of the sequence."""
        return self.sequence.num_tasks

    @property
    def inputs(self) -> int:
        """Numbers of an input."""
        return self.settings.image_size**2 * self.settings.image_channels

    @property
    def like(self) -> Float[Array, "1 inputs"]:
        """An input, for its shape."""
        return jnp.zeros((1, self.inputs))

    def network(self, width: int | None = None) -> Network:
        """Return the network of a task.

        Args:
          width: of its hidden layers; None: the settings'.
        """
        of = self.settings
        return mlp((of.width if width is None else width,) * of.layers, self.sequence.ways)

    def setting(self) -> str:
        """Return the tasks in a few words."""
        return f"{self.num_tasks} {self.settings.tasks} tasks of {self.settings.base_set}"


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: how many steps there are.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set, or its tasks do not divide ``steps``.
    """
    train, test = image_pools(settings, data_dir)
    if settings.tasks == "permuted":
        sequence = permuted(train, test, settings.num_tasks, jax.random.key(TASK_KEY))
    elif settings.tasks == "rotated":
        turns = np.linspace(0, np.radians(settings.most_turn), settings.num_tasks)
        sequence = rotated(train, test, turns.tolist())
    else:
        sequence = split(train, test, settings.classes_per_task, most=settings.num_tasks)
    steps_per_task, rest = divmod(training.steps, sequence.num_tasks)
    if rest:
        expected = f"a multiple of {sequence.num_tasks}, the tasks of the sequence"
        raise ConfigError("steps", training.steps, expected)
    tasks = sequence_tasks(sequence, steps_per_task, settings.examples, settings.review)
    return Problem(settings, tasks, sequence, steps_per_task, train.mean, train.std)
