"""Runs over sinusoids or images, used as they were trained to be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Examples, Task
from metajax.data import TaskParts
from metajax.systems.base import Use
from metajax.systems.parts import PartedProblem
from metajax.systems.using.classes import classes_of_images
from metajax.systems.using.curves import CURVES


def blank_parts(config: Any) -> TaskParts:
    """Tasks of blank images, of the shapes of ``image_parts``: no set is read."""
    size, ways = config.image_size, config.ways

    def examples(num: int) -> Examples:
        images = jnp.zeros((num * ways, size, size, config.image_channels))
        return Examples(images, jnp.tile(jnp.arange(ways), num))

    tasks: Any = jax.tree_util.Partial(
        _always, Task(examples(config.shots), examples(config.queries))
    )
    return TaskParts(tasks, tasks, tasks)


def _always(task: Task, key: Key[Array, ""]) -> Task:
    return task


def use_of(problem: type[PartedProblem]) -> Callable[[Any], Use]:
    """Return how runs of a family of such problems are used, as they were trained to.

    On a person's own labeled images, whose set need not be on this machine, or points of a curve.
    """

    def blank(settings: Any) -> PartedProblem:
        return problem(settings, *blank_parts(settings))

    def use(config: Any) -> Use:
        return classes_of_images(config, flat=False, problem=blank) if config.images else CURVES

    return use
