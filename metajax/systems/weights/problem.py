"""From settings to conditions, images under each of them, and the network to generate."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Network, Params
from metajax.data import ImagePool
from metajax.hypernet import PaddedMLP, padded_mlp
from metajax.nn import mlp
from metajax.systems.image_sets import image_pools
from metajax.systems.weights.settings import SharedSettings
from metajax.units import Units, mlp_units


class Problem(NamedTuple):
    """Conditions to generate networks for, and images to train and to measure them on.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on, a task distribution.
      test: images to measure on, with the statistics of the training images.
      conditions: of the tasks, in a form of their own; ``called`` says in a few words what they
        are.
      ways: classes.
    """

    settings: Any
    tasks: Any
    test: ImagePool
    conditions: Any
    ways: int

    @property
    def example_tasks(self) -> Any:
        """What is trained on."""
        return self.tasks

    @property
    def network(self) -> Network:
        """The network whose weights are generated."""
        return mlp((self.settings.width,) * self.settings.layers, self.ways)

    @property
    def units(self) -> Units:
        """The names of the network's units."""
        return mlp_units(jax.eval_shape(self.start, jax.random.key(0)))

    def narrow(self, size: int) -> Network:
        """Return the network with so many units in each hidden layer."""
        return mlp((size,) * self.settings.layers, self.ways)

    @property
    def varied(self) -> str:
        """The units of the middle hidden layer, whose number varies (widths)."""
        return f"h{self.settings.layers // 2}"

    def network_of(self, width: int) -> Network:
        """Return the network with so many units in its middle hidden layer (widths).

        Args:
          width: units.
        """
        sizes = [self.settings.width] * self.settings.layers
        sizes[self.settings.layers // 2] = width
        return mlp(tuple(sizes), self.ways)

    @property
    def padded(self) -> PaddedMLP:
        """The network of all architectures (architectures)."""
        of = self.settings
        return padded(self.test.num_features, self.ways, of.layers, of.widest)

    def start(self, key: Key[Array, ""]) -> Params:
        """Draw the network's weights, as it would start by itself."""
        return self.network.init(key, jnp.zeros((1, self.test.num_features)))

    def setting(self) -> str:
        """Return the images and the conditions in a few words."""
        return f"{self.settings.base_set}, {self.conditions.called}"


def read_images(settings: SharedSettings, data_dir: Path | None) -> tuple[ImagePool, ImagePool]:
    """Read images to train on, and images to measure on, which have the statistics of the first.

    Args:
      settings: of the problem.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = image_pools(settings, data_dir)
    return train, dataclasses.replace(test, mean=train.mean, std=train.std)


@functools.lru_cache
def padded(features: int, ways: int, layers: int, widest: int) -> PaddedMLP:
    """Return the network that has room for all architectures, also those that are only measured.

    It is the same one for all methods and seeds, so that each program is compiled once.
    """
    return padded_mlp(features, ways, layers + 1, widest)
