"""The beds' tasks: sinusoids, and episodes of image classes that the other parts never meet."""

from __future__ import annotations

from pathlib import Path

from metajax.data import TaskParts, episode_parts, load_images, sinusoid_tasks
from metajax.systems.hyperdistill.config import Config


def make_tasks(config: Config, data_dir: Path | None = None) -> TaskParts:
    """Make the config's tasks for training, validation and test.

    Sinusoids are drawn anew each time, so validation and test are one distribution.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the config does not fit the base set.
    """
    if config.bed == "sinusoid":
        new = sinusoid_tasks(config.shots, config.eval_queries)
        return TaskParts(sinusoid_tasks(config.shots, config.queries), new, new)
    image_set = load_images(
        config.base_set, config.split, data_dir,
        size=(config.image_size, config.image_size), channels=config.image_channels,
    )  # fmt: skip
    return episode_parts(
        image_set, config.classes, rotations=config.rotations, ways=config.ways,
        shots=config.shots, queries=config.queries, label_noise=config.label_noise,
    )  # fmt: skip
