"""Networks to be pruned: images for each of several, and the sizes that they are pruned to."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Examples, Network, Task, derive, random_indices, register_dataclass
from metajax.data import ImagePool
from metajax.nn import mlp
from metajax.systems.weights.problem import Problem, reading
from metajax.systems.weights.pruning.settings import Settings


@register_dataclass
@dataclass(frozen=True)
class NetworkTasks:
    """Images for several networks, other ones for each: all networks in one draw.

    Attributes:
      pool: images that are drawn from, uniformly with replacement.
      num: networks. Static.
      examples: images of each. Static.
    """

    pool: ImagePool
    num: int = field(metadata={"static": True})
    examples: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw images for each network, with the networks' numbers; a leading axis of 1."""
        number = jnp.uint32(len(self.pool.labels))
        rows = random_indices(derive(key, "images"), (self.num, self.examples), number)
        task = Task(jnp.arange(self.num, dtype=jnp.int32), self.at(rows))
        return jax.tree.map(lambda leaf: leaf[None], task)

    def at(self, rows: Array) -> Examples:
        """Return the images of some rows, normalized, with their classes."""
        images = self.pool.normalise(self.pool.images[rows])
        return Examples(images, self.pool.labels[rows].astype(jnp.int32))

    def some(self, key: Key[Array, ""]) -> Examples:
        """Draw images for one network."""
        number = jnp.uint32(len(self.pool.labels))
        return self.at(random_indices(key, (self.examples,), number))


@register_dataclass
@dataclass(frozen=True)
class KeptUnits:
    """What networks are pruned to, all of their hidden layers alike.

    Attributes:
      kept: units of each hidden layer. Static.
      unseen: networks that are pruned and measured, the first of the zoo. Static.
    """

    kept: tuple[int, ...] = field(metadata={"static": True})
    unseen: int = field(metadata={"static": True})

    @property
    def axis(self) -> str:
        """Units."""
        return "kept units of each hidden layer"

    @property
    def points(self) -> list[float]:
        """Numbers of units."""
        return [float(size) for size in self.kept]

    @property
    def called(self) -> str:
        """What they are, in a few words."""
        return "by kept units"


class PruningProblem(Problem):
    """The problem of pruning."""

    def narrow(self, size: int) -> Network:
        """Return the network with so many units in each hidden layer.

        Args:
          size: units.
        """
        return mlp((size,) * self.settings.layers, self.ways)


def of_images(settings: Settings, train: ImagePool, test: ImagePool) -> PruningProblem:
    """Make the problem of some settings with given images.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
    """
    num = settings.networks + settings.unseen_networks
    tasks = NetworkTasks(train, num, settings.examples)
    kept = KeptUnits(settings.kept_units, settings.unseen_networks)
    return PruningProblem(settings, tasks, test, kept, train.num_classes)


make_problem = reading(of_images)
