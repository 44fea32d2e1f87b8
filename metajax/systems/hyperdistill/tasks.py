"""The beds' tasks: sinusoids, and episodes of image classes that the other parts never meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from metajax.core import TaskDistribution
from metajax.data import (
    device_pool,
    episode_tasks,
    load_images,
    rotated_classes,
    sinusoid_tasks,
    split_classes,
)
from metajax.systems.hyperdistill.config import Config


class BedTasks(NamedTuple):
    """What a bed trains on, what is measured along the way, and what is evaluated at the end."""

    train: TaskDistribution
    valid: TaskDistribution
    test: TaskDistribution


def make_tasks(config: Config, data_dir: Path | None = None) -> BedTasks:
    """Make a bed's tasks.

    Sinusoids are drawn anew each time, so validation and test are one distribution. Which image
    class is in which part is the same in every run.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the config does not fit the base set.
    """
    if config.bed == "sinusoid":
        new = sinusoid_tasks(config.shots, config.eval_queries)
        return BedTasks(sinusoid_tasks(config.shots, config.queries), new, new)
    image_set = load_images(
        config.base_set, config.split, data_dir,
        size=(config.image_size, config.image_size), channels=config.image_channels,
    )  # fmt: skip

    def part(classes: Any) -> TaskDistribution:
        pool = device_pool(rotated_classes(classes) if config.rotations else classes)
        return episode_tasks(
            pool, ways=config.ways, shots=config.shots, queries=config.queries,
            label_noise=config.label_noise,
        )  # fmt: skip

    return BedTasks(*map(part, split_classes(image_set, config.classes)))
