"""Widths as what networks are generated for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Examples, random_indices, register_dataclass
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.problem import Problem, read_images
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


def make_problem(settings: Settings, training: Any, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = read_images(settings, data_dir)
    widths = Widths(settings.train_widths, settings.eval_widths)
    return drawn_problem(settings, train, test, widths)
