"""What networks are generated for, each as a pure distribution of tasks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Examples, Task, derive, random_indices, register_dataclass
from metajax.data import ImagePool
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import SharedSettings


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


def drawn_problem(
    settings: SharedSettings, train: ImagePool, test: ImagePool, conditions: Conditions
) -> Problem:
    """Return the problem of conditions that are drawn, with images of the whole set under each.

    Args:
      settings: of the problem.
      train: images to train on.
      test: images to measure on, with the mean and deviation of the others.
      conditions: that are drawn.
    """
    tasks = ConditionTasks(train, conditions, settings.examples)
    return Problem(settings, tasks, test, conditions, train.num_classes)
