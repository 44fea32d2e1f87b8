"""Widths as what networks are generated for."""

from __future__ import annotations

from dataclasses import dataclass, field

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Examples, Network, random_indices, register_dataclass
from metajax.data import ImagePool
from metajax.learners import VariedNetwork
from metajax.nn import mlp
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.problem import Problem, reading
from metajax.systems.weights.widths.settings import Settings


@register_dataclass
@dataclass(frozen=True)
class Widths:
    """Images are as they are; the condition is the number of units of a hidden layer.

    Attributes:
      trained: numbers of units that are drawn. Static.
      asked: numbers of units that are measured. Static.
    """

    trained: tuple[int, ...] = field(metadata={"static": True})
    asked: tuple[int, ...] = field(metadata={"static": True})

    @property
    def called(self) -> str:
        """Widths."""
        return f"by {self.axis}"

    @property
    def axis(self) -> str:
        """Units."""
        return "width, units"

    @property
    def points(self) -> list[float]:
        """The numbers of units."""
        return [float(width) for width in self.asked]

    def draw(self, key: Key[Array, ""]) -> Int32[Array, ""]:
        """Draw one of the trained widths, all of them alike."""
        place = random_indices(key, (), jnp.uint32(len(self.trained)))
        return jnp.asarray(self.trained, jnp.int32)[place]

    def measured(self) -> Int32[Array, " num"]:
        """Return the widths that are measured."""
        return jnp.asarray(self.asked, jnp.int32)

    def examples(
        self,
        images: Float[Array, "n h w c"],
        labels: Int32[Array, " n"],
        condition: Int32[Array, ""],
    ) -> Examples:
        """Return the images as they are."""
        return Examples(images.reshape(len(images), -1), labels)


def middle_of(settings: Settings) -> str:
    """Return the name of the units of the middle hidden layer, whose number varies.

    Args:
      settings: of the problem.
    """
    return f"h{settings.layers // 2}"


def sizes_of(settings: Settings, width: int) -> tuple[int, ...]:
    """Return the sizes of the hidden layers, with so many units in the middle one.

    Args:
      settings: of the problem.
      width: units.
    """
    sizes = [settings.width] * settings.layers
    sizes[settings.layers // 2] = width
    return tuple(sizes)


class WidthProblem(Problem):
    """The problem of widths."""

    @property
    def varied(self) -> VariedNetwork:
        """The network, and the units of its middle hidden layer."""
        return VariedNetwork(self.network, self.start, self.units, middle_of(self.settings))

    def network_of(self, width: int) -> Network:
        """Return the network with so many units in its middle hidden layer.

        Args:
          width: units.
        """
        return mlp(sizes_of(self.settings, width), self.ways)


def of_images(settings: Settings, train: ImagePool, test: ImagePool) -> WidthProblem:
    """Make the problem of some settings with given images.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
    """
    widths = Widths(settings.train_widths, settings.eval_widths)
    return WidthProblem(*drawn_problem(settings, train, test, widths))


make_problem = reading(of_images)
