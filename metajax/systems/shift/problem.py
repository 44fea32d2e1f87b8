"""From settings to source images and a stream of shifted ones."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from metajax.continual import ShiftStream, SourceImages, shift_stream
from metajax.nn import PartedNetwork, parted_conv_net
from metajax.systems.image_sets import image_pools
from metajax.systems.shift.settings import Settings, Training


class Problem(NamedTuple):
    """Source images, a stream of shifted ones, and the network.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on.
      stream: what is predicted.
      network: the source network.
      source_steps: steps after which the source network is frozen.
    """

    settings: Settings
    tasks: SourceImages
    stream: ShiftStream
    network: PartedNetwork
    source_steps: int

    @property
    def example_tasks(self) -> SourceImages:
        """What is trained on."""
        return self.tasks

    def setting(self) -> str:
        """Return the stream in a few words."""
        return f"{self.settings.base_set}, shifts of severity {self.settings.severity:g}"


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: how many steps there are.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = image_pools(settings, data_dir)
    stream = shift_stream(
        train,
        test,
        settings.severity,
        batch=settings.online_batch,
        images_per_shift=settings.images_per_shift,
        num_rounds=settings.num_rounds,
    )
    channels = [settings.width * 2**part for part in range(settings.parts)]
    network = parted_conv_net(train.num_classes, channels, layers=settings.layers)
    tasks = SourceImages(train, settings.examples)
    return Problem(settings, tasks, stream, network, training.steps - training.warm_steps)
