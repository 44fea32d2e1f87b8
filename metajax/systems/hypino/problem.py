"""From settings to the family's problem: random PDEs in two phases."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from metajax.core import Staged
from metajax.systems.hypino.settings import Settings
from metajax.systems.hypino.tasks import ProblemTasks, make_phases, make_tasks
from metajax.systems.training import Training


class Problem(NamedTuple):
    """Random PDEs, and what every method for them is made of.

    Attributes:
      settings: what it was made from.
      tasks: to train on, in two phases.
      example_tasks: those of the second, all with a known solution.
    """

    settings: Settings
    tasks: Staged
    example_tasks: ProblemTasks


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings; nothing is read from disk.

    Args:
      settings: of the problem.
      training: of meta-training.
      data_dir: not used.

    Returns:
      The problem.
    """
    return Problem(settings, make_phases(settings), make_tasks(settings))
