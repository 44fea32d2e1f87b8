"""From settings to conditions, images under each of them, and the network to generate."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Network, Params
from metajax.data import ImagePool
from metajax.nn import mlp
from metajax.systems.image_sets import image_pools
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
    def hidden(self) -> tuple[int, ...]:
        """Sizes of the network's hidden layers."""
        return (self.settings.width,) * self.settings.layers

    @property
    def network(self) -> Network:
        """The network whose weights are generated."""
        return mlp(self.hidden, self.ways)

    @property
    def units(self) -> Units:
        """The names of the network's units."""
        return mlp_units(jax.eval_shape(self.start, jax.random.key(0)))

    def start(self, key: Key[Array, ""]) -> Params:
        """Draw the network's weights, as it would start by itself."""
        return self.network.init(key, jnp.zeros((1, self.test.num_features)))

    def setting(self) -> str:
        """Return the images and the conditions in a few words."""
        return f"{self.settings.base_set}, {self.conditions.called}"


P = TypeVar("P", bound=Problem)
"""The problem of a kind."""


def reading(
    of_images: Callable[[Any, ImagePool, ImagePool], P],
) -> Callable[[Any, Any, Path | None], P]:
    """Return the function that makes the problem of some settings with the images that these name.

    Images to measure on have the mean and deviation of those to train on.

    Args:
      of_images: ``of_images(settings, train, test)`` makes the problem of settings with images to
        train on and to measure on.

    Returns:
      ``make_problem(settings, training, data_dir)``, which does not read ``training``. It raises a
      ``MissingDataError`` where the set is not on disk, a ``ConfigError`` where it does not fit.
    """

    @functools.wraps(of_images)
    def make_problem(settings: Any, training: Any, data_dir: Path | None = None) -> P:
        train, test = image_pools(settings, data_dir)
        return of_images(settings, train, dataclasses.replace(test, mean=train.mean, std=train.std))

    return make_problem
