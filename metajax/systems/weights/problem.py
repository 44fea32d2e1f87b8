"""From settings to conditions, images under each of them, and the network to generate."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import ConfigError, Network, Params
from metajax.data import ImagePool
from metajax.hypernet import PaddedMLP, padded_mlp
from metajax.nn import mlp
from metajax.systems.image_sets import image_pools
from metajax.systems.weights.architectures import draw_architectures
from metajax.systems.weights.class_tuples import ClassTuples, TupleTasks, make_class_tuples
from metajax.systems.weights.conditions import Angles, Conditions, ConditionTasks, Widths
from metajax.systems.weights.settings import Settings, Training


class Problem(NamedTuple):
    """Conditions to generate networks for, and images to train and to measure them on.

    Attributes:
      settings: what it was made from.
      tasks: what is trained on.
      test: images that accuracy is measured on, with the statistics of the training images.
      conditions: of the tasks.
      ways: classes.
    """

    settings: Settings
    tasks: ConditionTasks | TupleTasks
    test: ImagePool
    conditions: Conditions | ClassTuples
    ways: int

    @property
    def example_tasks(self) -> ConditionTasks | TupleTasks:
        """What is trained on."""
        return self.tasks

    @property
    def network(self) -> Network:
        """The network whose weights are generated."""
        return mlp((self.settings.width,) * self.settings.layers, self.ways)

    @property
    def varied(self) -> str:
        """The units of the middle hidden layer, whose number varies (widths)."""
        return f"h{self.settings.layers // 2}"

    @property
    def padded(self) -> PaddedMLP:
        """The network of all architectures (architectures)."""
        of = self.settings
        return padded(self.test.num_features, self.ways, of.layers, of.widest)

    def start(self, key: Key[Array, ""]) -> Params:
        """Draw the network's weights, as it would start by itself."""
        return self.network.init(key, jnp.zeros((1, self.test.num_features)))

    def need(self, method: str, *conditions: str) -> None:
        """Raise where a method is made for other conditions.

        Args:
          method: by name.
          conditions: that it is made for.

        Raises:
          ConfigError: the problem has another condition; it names ``method``.
        """
        if self.settings.condition not in conditions:
            expected = f"one made for {self.settings.condition}; {method} needs "
            raise ConfigError("method", method, expected + " or ".join(conditions))

    def setting(self) -> str:
        """Return the images and the conditions in a few words."""
        if isinstance(self.conditions, ClassTuples):
            return f"{self.settings.base_set}, unseen tuples of {self.ways} classes"
        return f"{self.settings.base_set}, by {self.conditions.axis}"


@functools.lru_cache
def padded(features: int, ways: int, layers: int, widest: int) -> PaddedMLP:
    """Return the network that has room for all architectures, also those that are only measured.

    It is the same one for all methods and seeds, so that each program is compiled once.
    """
    return padded_mlp(features, ways, layers + 1, widest)


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = image_pools(settings, data_dir)
    test = dataclasses.replace(test, mean=train.mean, std=train.std)
    if settings.condition == "classes":
        tuples = make_class_tuples(train, test, settings)
        return Problem(settings, tuples.zoo, test, tuples, settings.ways)
    ways = train.num_classes
    conditions: Conditions
    if settings.condition == "angles":
        conditions = Angles(settings.most_turn, settings.eval_angles)
    elif settings.condition == "architectures":
        conditions = draw_architectures(
            padded(train.num_features, ways, settings.layers, settings.widest), settings
        )
    else:
        conditions = Widths(settings.train_widths, settings.eval_widths)
    tasks = ConditionTasks(train, conditions, settings.examples)
    return Problem(settings, tasks, test, conditions, ways)
