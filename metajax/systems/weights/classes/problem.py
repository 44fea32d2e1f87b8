"""Tasks of some classes in an order: those of a zoo's networks, and unseen ones."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key, UInt32

from metajax.core import (
    ConfigError,
    Examples,
    Task,
    derive,
    random_indices,
    register_dataclass,
)
from metajax.data import ImagePool
from metajax.systems.weights.classes.settings import Settings
from metajax.systems.weights.problem import Problem, reading

TUPLES_SEED = 2402_18153
"""Seed of the zoo's tuples and of the unseen ones: the same for every run."""
TUNE_RATE = 1e-3
"""Learning rate of Adam on an unseen task's support."""
TUNE_STEPS = (0, 10, 50)
"""Steps on an unseen task's support after which a network is measured."""
UNSEEN_SHARE = 0.25
"""Part of all sets of classes that no network of the zoo has, in any order."""


def class_tuples(
    classes: int, ways: int, seen: int, unseen: int
) -> tuple[Int32[np.ndarray, "seen ways"], Int32[np.ndarray, "unseen ways"]]:
    """Draw tuples of classes for a zoo, and others whose sets of classes the zoo does not have.

    Args:
      classes: to choose from.
      ways: classes of a tuple.
      seen: different tuples of the zoo.
      unseen: different tuples of other sets.

    Returns:
      Both, in random order.

    Raises:
      ConfigError: there are not so many.
    """
    draw = np.random.default_rng(TUPLES_SEED)
    sets = np.array(list(itertools.combinations(range(classes), ways)), np.int32)
    if len(sets) < 2:
        raise ConfigError("ways", ways, f"1 to {classes - 1}, fewer than the classes")
    sets = sets[draw.permutation(len(sets))]
    apart = max(round(UNSEEN_SHARE * len(sets)), 1)

    def ordered(field: str, sets: np.ndarray, num: int) -> np.ndarray:
        most = len(sets) * math.factorial(ways)
        if num > most:
            raise ConfigError(field, num, f"at most {most} tuples of {ways} of {classes} classes")
        found: dict[tuple[int, ...], None] = {}
        number = 0
        while len(found) < num:
            found[tuple(draw.permutation(sets[number % len(sets)]).tolist())] = None
            number += 1
        return np.array(list(found), np.int32)

    return ordered("networks", sets[apart:], seen), ordered("eval_tasks", sets[:apart], unseen)


@register_dataclass
@dataclass(frozen=True)
class TupleTasks:
    """Images of tuples of classes, labeled by the place of their class: all tuples in one draw.

    Attributes:
      images: normalized, those of a class side by side.
      first: the first image of each class.
      number: how many images each class has.
      tuples: classes.
      shots: images of each class in a support. Static.
      examples: images of a query. Static.
    """

    images: Float[Array, "n features"]
    first: Int32[Array, " classes"]
    number: UInt32[Array, " classes"]
    tuples: Int32[Array, "m ways"]
    shots: int = field(metadata={"static": True})
    examples: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw support and query of each tuple, uniformly with replacement; a leading axis of 1."""
        m, ways = self.tuples.shape
        places = jnp.repeat(jnp.arange(ways, dtype=jnp.int32), self.shots)
        support = self.some(derive(key, "support"), jnp.broadcast_to(places, (m, len(places))))
        drawn = random_indices(
            derive(key, "places"), (m, self.examples), jnp.uint32(self.tuples.shape[1])
        )
        query = self.some(derive(key, "query"), drawn)
        return jax.tree.map(lambda leaf: leaf[None], Task(support, query))

    def some(self, key: Key[Array, ""], places: Int32[Array, "m n"]) -> Examples:
        """Draw an image of the class at each place of each tuple."""
        classes = jnp.take_along_axis(self.tuples, places, axis=1)
        rows = self.first[classes] + random_indices(key, places.shape, self.number[classes])
        return Examples(self.images[rows], places)


def tuple_tasks(
    pool: ImagePool, tuples: Int32[np.ndarray, "m ways"], shots: int, examples: int
) -> TupleTasks:
    """Return the tasks of some tuples with the images of a pool.

    Args:
      pool: of images, normalized by its own mean and deviation.
      tuples: classes.
      shots: images of each class in a support.
      examples: images of a query.
    """
    starts = np.asarray(pool.class_starts)
    return TupleTasks(
        pool.normalise(pool.images),
        jnp.asarray(starts[:-1], jnp.int32),
        jnp.asarray(np.diff(starts), jnp.uint32),
        jnp.asarray(tuples),
        shots,
        examples,
    )


@register_dataclass
@dataclass(frozen=True)
class ClassTuples:
    """Images for a zoo, and for the tasks that it is measured on.

    Attributes:
      zoo: training images of the zoo's tuples.
      zoo_test: test images of the zoo's tuples.
      unseen: training images of unseen tuples.
      unseen_test: test images of unseen tuples.
      shape: height, width and channels of an image. Static.
    """

    zoo: TupleTasks
    zoo_test: TupleTasks
    unseen: TupleTasks
    unseen_test: TupleTasks
    shape: tuple[int, int, int] = field(metadata={"static": True})

    @property
    def called(self) -> str:
        """Tuples whose sets of classes the zoo does not have."""
        return f"unseen tuples of {self.unseen.tuples.shape[1]} classes"

    @property
    def axis(self) -> str:
        """Steps."""
        return "gradient steps"

    @property
    def points(self) -> list[float]:
        """Numbers of steps after which networks are measured."""
        return [float(steps) for steps in TUNE_STEPS]


def make_class_tuples(train: ImagePool, test: ImagePool, settings: Settings) -> ClassTuples:
    """Draw the tuples of some settings.

    Args:
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
      settings: of the problem.

    Raises:
      ConfigError: there are not so many tuples.
    """
    seen, unseen = class_tuples(
        train.num_classes, settings.ways, settings.networks, settings.eval_tasks
    )
    shots, examples = settings.shots, settings.examples
    zoo, zoo_test = (tuple_tasks(pool, seen, shots, examples) for pool in (train, test))

    def others(tasks: TupleTasks) -> TupleTasks:
        return replace(tasks, tuples=jnp.asarray(unseen))

    channels = settings.image_channels
    shape = (settings.image_size, settings.image_size, channels)
    return ClassTuples(zoo, zoo_test, others(zoo), others(zoo_test), shape)


def class_mean_embedding(
    support: Examples, ways: int, shape: tuple[int, int, int], size: int
) -> Float[Array, " d"]:
    """Return the mean of each class' images at a smaller size, in the order of the classes.

    Args:
      support: images as rows, with the places of their classes.
      ways: classes.
      shape: height, width and channels of the images.
      size: height and width of the smaller ones.
    """
    classes = jnp.arange(ways, dtype=support.targets.dtype)
    of = (support.targets[None] == classes[:, None]).astype(support.inputs.dtype)
    means = (of @ support.inputs) / jnp.maximum(jnp.sum(of, axis=1), 1)[:, None]
    small = jax.image.resize(
        means.reshape(ways, *shape), (ways, size, size, shape[2]), "linear", antialias=True
    )
    return small.reshape(-1)


class TupleProblem(Problem):
    """The problem of tuples of classes."""

    def embed(self, support: Examples) -> Float[Array, " d"]:
        """Return the description of a task: its class means, see :func:`class_mean_embedding`.

        Args:
          support: of the task.
        """
        shape, size = self.conditions.shape, self.settings.embedding_size
        return class_mean_embedding(support, self.ways, shape, size)


def of_images(settings: Settings, train: ImagePool, test: ImagePool) -> TupleProblem:
    """Make the problem of some settings with given images.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
    """
    tuples = make_class_tuples(train, test, settings)
    return TupleProblem(settings, tuples.zoo, test, tuples, settings.ways)


make_problem = reading(of_images)
