"""From settings to HyperDistill's problem: tasks of which test and validation see other classes."""

from __future__ import annotations

from pathlib import Path

from metajax.systems.hyperdistill.settings import Settings
from metajax.systems.parts import PartedProblem, image_parts, sinusoid_parts
from metajax.systems.training import Training


class Problem(PartedProblem):
    """Tasks of a test-bed; the test-bed itself is made by each method, of what may be traced."""

    __slots__ = ()

    def setting(self) -> str:
        """Return the tasks in a few words."""
        return f"{self.settings.testbed}, {super().setting()}" if self.images else super().setting()


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
