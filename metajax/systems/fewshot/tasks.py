"""Few-shot tasks: sinusoids, and episodes of image classes that the other parts never meet."""

from __future__ import annotations

from pathlib import Path

from metajax.data import TaskParts
from metajax.systems.fewshot.config import Config
from metajax.systems.parts import image_parts, sinusoid_parts


def make_tasks(config: Config, data_dir: Path | None = None) -> TaskParts:
    """Make the config's tasks for training, validation and test.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the config does not fit the base set.
    """
    if config.tasks == "sinusoid":
        return sinusoid_parts(config)
    return image_parts(config, data_dir)
