"""How families of labeled images, and of curves, are used on a person's own data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax import using
from metajax.core import Examples, Task
from metajax.data import TaskParts
from metajax.systems.base import Use
from metajax.systems.parts import PartedProblem


def image_form(settings: Any, sequence: bool = False) -> using.ImageForm:
    """Return how a person's images are read.

    Args:
      settings: with ``image_size`` and ``image_channels``.
      sequence: see :class:`metajax.using.ImageForm`.
    """
    size = settings.image_size
    return using.ImageForm((size, size, settings.image_channels), sequence)


def classes_of_images(settings: Any, *, sequence: bool, problem: Callable[[Any], Any]) -> Use:
    """Return the use of learners that tell classes of images apart.

    Args:
      settings: with ``image_size``, ``image_channels`` and ``ways``.
      sequence: whether the learner reads sequences of flattened inputs, and so rows too; else it
        reads sets of images, and a query is answered in the company of the support.
      problem: see :class:`Use`.
    """
    form = image_form(settings, sequence)

    def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> using.Adapted:
        """Adapt to images or rows and their labels."""
        return using.classes(
            run.learner, run.params, support, form, ways=settings.ways, steps=steps, key=key
        )

    def files(run: Any, path: Path, target: str | None, steps: int | None) -> using.Told:
        """Adapt to the labeled images or rows of a file or folder, and answer the others."""
        return using.tell_classes(functools.partial(run.adapt, steps=steps), path, form, target)

    return Use(adapt, files, problem)


def _adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> using.Adapted:
    """Adapt to points."""
    return using.curve(run.learner, run.params, support, steps=steps, key=key)


def _files(run: Any, path: Path, target: str | None, steps: int | None) -> using.Told:
    """Adapt to the points of a file, and predict the curve."""
    return using.tell_curve(functools.partial(run.adapt, steps=steps), path, target)


CURVES = Use(_adapt, _files)
"""The use of learners of curves: ``x`` and ``y`` are numbers."""


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
        return classes_of_images(config, sequence=False, problem=blank) if config.images else CURVES

    return use
