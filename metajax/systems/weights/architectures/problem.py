"""Architectures as what networks are generated for."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Examples, random_indices, register_dataclass
from metajax.data import ImagePool
from metajax.hypernet import MLPArchitecture, PaddedMLP, padded_mlp, random_shapes
from metajax.systems.weights.architectures.settings import Settings
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.problem import Problem, reading

GROUPS = {"in_range": "in range", "wider": "wider", "deeper": "deeper"}
"""Kinds of architectures that are measured, and their names in tables."""
SEED = 2405_16287
"""Seed of the architectures: the same for every run."""


@register_dataclass
@dataclass(frozen=True)
class Architectures:
    """Images are as they are; the condition is a multi-layer perceptron's architecture.

    Attributes:
      pool: architectures that are trained on.
      groups: architectures that are measured, none of which is in the pool.
    """

    pool: MLPArchitecture
    groups: dict[str, MLPArchitecture]

    @property
    def called(self) -> str:
        """Architectures."""
        return f"by {self.axis}"

    @property
    def axis(self) -> str:
        """Numbers of architectures in range."""
        return "architecture"

    @property
    def points(self) -> list[float]:
        """A number for each architecture in range."""
        return [float(number) for number in range(len(self.groups["in_range"].widths))]

    def draw(self, key: Key[Array, ""]) -> MLPArchitecture:
        """Draw an architecture to train on."""
        place = random_indices(key, (), jnp.uint32(len(self.pool.widths)))
        return jax.tree.map(lambda leaf: leaf[place], self.pool)

    def measured(self) -> MLPArchitecture:
        """Return the architectures in range."""
        return self.groups["in_range"]

    def examples(
        self, images: Float[Array, "n h w c"], labels: Int32[Array, " n"], condition: Any
    ) -> Examples:
        """Return the images as they are."""
        return Examples(images.reshape(len(images), -1), labels)


@functools.lru_cache
def padded(features: int, ways: int, layers: int, widest: int) -> PaddedMLP:
    """Return the network that has room for all architectures, also those that are only measured.

    It is the same one for all methods and seeds, so that each program is compiled once.
    """
    return padded_mlp(features, ways, layers + 1, widest)


class ArchitectureProblem(Problem):
    """The problem of architectures."""

    @property
    def padded(self) -> PaddedMLP:
        """The network of all architectures."""
        of = self.settings
        return padded(self.test.num_features, self.ways, of.layers, of.widest)


def draw_architectures(target: PaddedMLP, settings: Any) -> Architectures:
    """Draw architectures to train on, and unseen ones: in range, wider and deeper.

    Args:
      target: the padded network of all of them.
      settings: of the problem.
    """
    of, num = settings, settings.eval_architectures
    layers, widths = (1, of.layers), (of.least_width, of.width)
    between = (of.width + of.widest + 1) // 2
    known = random_shapes(of.train_architectures, layers, widths, SEED)
    # as many as are asked for that are not among them
    more = random_shapes(num + of.train_architectures, layers, widths, SEED + 1)
    unseen = [shape for shape in dict.fromkeys(more) if shape not in set(known)][:num]
    shapes = {
        "in_range": unseen,
        "wider": random_shapes(num, layers, (between, of.widest), SEED + 2),
        "deeper": random_shapes(num, (of.layers + 1,) * 2, widths, SEED + 3),
    }
    groups = {name: target.architectures(some) for name, some in shapes.items()}
    return Architectures(target.architectures(known), groups)


def of_images(settings: Settings, train: ImagePool, test: ImagePool) -> ArchitectureProblem:
    """Make the problem of some settings with given images.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
    """
    target = padded(train.num_features, train.num_classes, settings.layers, settings.widest)
    architectures = draw_architectures(target, settings)
    problem = ArchitectureProblem(*drawn_problem(settings, train, test, architectures))
    # training takes nothing of what is measured, so that this can be changed at any time
    drawn = dataclasses.replace(architectures, groups={})
    return problem._replace(tasks=dataclasses.replace(problem.tasks, conditions=drawn))


make_problem = reading(of_images)
