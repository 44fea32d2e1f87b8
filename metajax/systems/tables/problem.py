"""From settings to the problem of reading tables: synthetic ones to train and to evaluate on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from metajax.core import MixedTasks
from metajax.data import TableTasks
from metajax.systems.tables.settings import Settings
from metajax.systems.training import Training


class Problem(NamedTuple):
    """Tables to train on and to evaluate on.

    Attributes:
      settings: what it was made from.
      tasks: to train on: small tables and a large one a draw.
      new: to evaluate on, of the largest of ``eval_rows``.
    """

    settings: Settings
    tasks: MixedTasks
    new: TableTasks

    @property
    def example_tasks(self) -> MixedTasks:
        """Tasks of the shapes that training has."""
        return self.tasks


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings; nothing is read from disk.

    Args:
      settings: of the problem.
      training: of meta-training.
      data_dir: not used.

    Returns:
      The problem.
    """
    sizes = {name: getattr(settings, name) for name in ("queries", "features", "classes")}
    least = max(2, settings.rows // 8)
    parts = (
        TableTasks(rows=settings.small_rows, **sizes),
        TableTasks(least=least, rows=settings.rows, **sizes),
    )
    most = max(settings.eval_rows)
    return Problem(
        settings,
        MixedTasks(parts, (settings.small_tables, 1)),
        TableTasks(least=most, rows=most, **sizes),
    )
