"""What networks are generated for, each as a pure distribution of tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.continual import turned
from metajax.core import Examples, Task, derive, random_indices, register_dataclass
from metajax.data import ImagePool


class Conditions(Protocol):
    """A distribution of conditions, and of the images that belong to each; a pytree."""

    @property
    def called(self) -> str:
        """What they are, in a few words."""
        ...

    @property
    def axis(self) -> str:
        """What conditions lie along in figures and tables, with its unit."""
        ...

    @property
    def points(self) -> list[float]:
        """Where the conditions that are measured lie on the axis."""
        ...

    def draw(self, key: Key[Array, ""]) -> Any:
        """Draw a condition to train on: the support of a task."""
        ...

    def measured(self) -> Any:
        """Return the conditions that are measured, on the first axis of every leaf."""
        ...

    def examples(
        self, images: Float[Array, "n h w c"], labels: Int32[Array, " n"], condition: Any
    ) -> Examples:
        """Return images with their classes as they are under a condition."""
        ...


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


@register_dataclass
@dataclass(frozen=True)
class ConditionTasks:
    """Tasks of a random condition each: the condition as support, images as query.

    Attributes:
      pool: images that are drawn from, uniformly with replacement.
      conditions: what is drawn.
      num: images of a task. Static.
    """

    pool: ImagePool
    conditions: Any
    num: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        condition = self.conditions.draw(derive(key, "condition"))
        number = jnp.uint32(len(self.pool.labels))
        rows = random_indices(derive(key, "images"), (self.num,), number)
        return Task(condition, under(self.pool, self.conditions, condition, rows))


def under(
    pool: ImagePool, conditions: Conditions, condition: Any, rows: Int32[Array, " num"] | None
) -> Examples:
    """Return images of a pool, normalized, as they are under a condition.

    Args:
      pool: of images.
      conditions: that the condition is one of.
      condition: which may be traced.
      rows: which images; None: all.
    """
    images, labels = pool.images, pool.labels.astype(jnp.int32)
    if rows is not None:
        images, labels = images[rows], labels[rows]
    return conditions.examples(pool.levels(images), labels, condition)
