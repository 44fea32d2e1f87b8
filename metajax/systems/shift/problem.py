"""From settings to source images and a stream of shifted ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from metajax.continual import ShiftStream, SourceImages, shift_stream
from metajax.core import ConfigError
from metajax.data import device_pool, load_images
from metajax.nn import PartedNetwork, parted_conv_net
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
    size = (settings.image_size, settings.image_size)
    pools: list[Any] = []
    for name in ("train_split", "test_split"):
        try:
            images = load_images(settings.base_set, getattr(settings, name), data_dir)
        except ConfigError as error:
            if error.field != "split":
                raise
            raise ConfigError(name, error.value, error.expected) from error
        pools.append(device_pool(images, size=size, channels=settings.image_channels))
    train, test = pools
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
