"""Angles as what networks are generated for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.continual import turned
from metajax.core import Examples, register_dataclass
from metajax.systems.weights.angles.settings import Settings
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.problem import Problem, read_images


@register_dataclass
@dataclass(frozen=True)
class Angles:
    """Images are turned by an angle; the condition is its place between the ends, 0 to 1.

    Attributes:
      most: degrees to either side. Static.
      num: angles that are measured. Static.
    """

    most: float = field(metadata={"static": True})
    num: int = field(metadata={"static": True})

    @property
    def called(self) -> str:
        """Angles."""
        return f"by {self.axis}"

    @property
    def axis(self) -> str:
        """Degrees."""
        return "angle, degrees"

    @property
    def points(self) -> list[float]:
        """Evenly from one end to the other."""
        return np.linspace(-self.most, self.most, self.num).tolist()

    def draw(self, key: Key[Array, ""]) -> Float[Array, " 1"]:
        """Draw an angle, all of them alike."""
        return jax.random.uniform(key, (1,))

    def measured(self) -> Float[Array, "num 1"]:
        """Evenly from one end to the other."""
        return jnp.linspace(0, 1, self.num)[:, None]

    def examples(
        self,
        images: Float[Array, "n h w c"],
        labels: Int32[Array, " n"],
        condition: Float[Array, " 1"],
    ) -> Examples:
        """Return the images, turned."""
        angle = np.pi / 180 * self.most * (2 * condition[0] - 1)
        return Examples(turned(images, angle).reshape(len(images), -1), labels)


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
    angles = Angles(settings.most_turn, settings.eval_angles)
    return drawn_problem(settings, train, test, angles)
