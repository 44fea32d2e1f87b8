"""From settings to the problem of unseen mechanics: its tasks and its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax

from metajax.core import MixedTasks, Network, derive
from metajax.systems.hamiltonian.network import architecture_of, make_motion
from metajax.systems.hamiltonian.settings import Settings, trained
from metajax.systems.hamiltonian.tasks import make_tasks
from metajax.systems.training import Training

OPTIMIZERS = {"sgd": optax.sgd, "adam": optax.adam}


class Problem(NamedTuple):
    """Points of true motions, and the network that is to follow them.

    Attributes:
      settings: what it was made from.
      tasks: to train on, of all mechanics but those held out.
    """

    settings: Settings
    tasks: MixedTasks

    @property
    def example_tasks(self) -> MixedTasks:
        """Tasks of the shapes that training has."""
        return self.tasks

    def optimizer(self, rate: Any) -> optax.GradientTransformation:
        """Return what takes the steps of adapting to new systems, at a rate that may be traced."""
        return OPTIMIZERS[self.settings.eval_optimizer](rate)

    def network(self) -> Network:
        """Return the network ``(params, snapshots) -> time derivatives``."""
        return make_motion(architecture_of(self.settings))


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Simulate the motions that are trained on, or read prepared ones.

    Args:
      settings: of the problem.
      training: whose seed draws the systems.
      data_dir: folder of prepared motions.

    Returns:
      The problem.

    Raises:
      MetajaxError: a trajectory could not be integrated to the accuracy of a ground truth.
      MissingDataError: prepared motions are not on disk.
      ConfigError: prepared motions are others than the settings ask for.
    """
    key = derive(jax.random.key(training.seed), "systems")
    return Problem(
        settings, make_tasks(settings, trained(settings), key, settings.trajectories, data_dir)
    )
