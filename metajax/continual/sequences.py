"""Sequences of tasks over labeled images: permuted pixels, split classes, rotated images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.core import (
    ConfigError,
    Examples,
    Staged,
    Task,
    derive,
    random_indices,
    register_dataclass,
)
from metajax.data import ImagePool


class AllExamples(NamedTuple):
    """All examples of a task, of training or held out.

    Attributes:
      examples: of it, as many for every task; those beyond its own are repeated.
      counts: which of them count.
    """

    examples: Examples
    counts: Bool[Array, " most"]


class _Part(NamedTuple):
    """Images of the training or of the held-out part, and which of them each task has.

    Attributes:
      images: normalized, ``[n, h, w, c]``.
      labels: classes of the set.
      first: the first image of each task.
      number: how many it has; they follow each other.
    """

    images: Float[Array, "n h w c"]
    labels: Int32[Array, " n"]
    first: Int32[Array, " tasks"]
    number: Int32[Array, " tasks"]


@register_dataclass
@dataclass(frozen=True)
class TaskSequence:
    """Tasks that a learner sees one after the other, as a pytree.

    Attributes:
      train: what is trained on.
      held_out: what accuracy is measured on.
      permutations: of the pixels of each task; None: they stay where they are.
      turns: how far the images of each task are turned, in radians; None: not at all.
      relabel: what is subtracted from a class to make a task's label, by task.
      most: training and held-out examples of the largest task. Static.
      ways: labels that a network tells apart. Static.
    """

    train: _Part
    held_out: _Part
    permutations: Int32[Array, "tasks pixels"] | None
    turns: Float[Array, " tasks"] | None
    relabel: Int32[Array, " tasks"]
    most: tuple[int, int] = field(metadata={"static": True})
    ways: int = field(metadata={"static": True})

    @property
    def num_tasks(self) -> int:
        """How many tasks there are."""
        return len(self.relabel)

    def draw(self, key: Key[Array, ""], index: Int32[Array, ""], num: int) -> Examples:
        """Draw training examples of one task, uniformly with replacement.

        Args:
          key: of the draw.
          index: of the task, from 0; may be traced.
          num: of examples.
        """
        number = self.train.number[index].astype(jnp.uint32)
        rows = self.train.first[index] + random_indices(key, (num,), number)
        return self._examples(self.train, rows, index)

    def held_out_of(self, index: Int32[Array, ""]) -> AllExamples:
        """Return the held-out examples of one task.

        Args:
          index: of the task, from 0; may be traced.
        """
        return self._all(self.held_out, self.most[1], index)

    def all_of(self, index: Int32[Array, ""]) -> AllExamples:
        """Return all training examples of one task.

        Args:
          index: of the task, from 0; may be traced.
        """
        return self._all(self.train, self.most[0], index)

    def _all(self, part: _Part, most: int, index: Array) -> AllExamples:
        place = jnp.arange(most, dtype=jnp.int32)
        number = part.number[index]
        rows = part.first[index] + place % number
        return AllExamples(self._examples(part, rows, index), place < number)

    def _examples(self, part: _Part, rows: Array, index: Array) -> Examples:
        images = part.images[rows]
        if self.turns is not None:
            images = turned(images, self.turns[index])
        flat = images.reshape(len(images), -1)
        if self.permutations is not None:
            flat = flat[:, self.permutations[index]]
        return Examples(flat, part.labels[rows] - self.relabel[index])


def turned(
    images: Float[Array, "n h w c"], angle: float | Float[Array, ""]
) -> Float[Array, "n h w c"]:
    """Turn images about their middle by bilinear interpolation; the edge's pixels fill the corners.

    Args:
      images: any.
      angle: in radians, counterclockwise as images are seen; may be traced.

    Returns:
      Images of the same size.
    """
    _, height, width, _ = images.shape
    angle = jnp.asarray(angle, images.dtype)
    rows = jnp.arange(height, dtype=images.dtype) - (height - 1) / 2
    columns = jnp.arange(width, dtype=images.dtype) - (width - 1) / 2
    down, right = jnp.meshgrid(rows, columns, indexing="ij")
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    from_row = cos * down + sin * right + (height - 1) / 2
    from_column = cos * right - sin * down + (width - 1) / 2
    where = [from_row, from_column]

    def turn(plane: Array) -> Array:
        return jax.scipy.ndimage.map_coordinates(plane, where, 1, mode="nearest")

    return jnp.moveaxis(jax.vmap(jax.vmap(turn))(jnp.moveaxis(images, 3, 1)), 1, 3)


def _parts(
    train: ImagePool, held_out: ImagePool, bounds: Sequence[tuple[int, int]]
) -> tuple[_Part, _Part, tuple[int, int]]:
    """Both parts, where task t has the classes from bounds[t][0] up to but not including
    bounds[t][1]."""
    parts = []
    for pool in (train, held_out):
        starts = np.asarray(pool.class_starts)
        first = [starts[low] for low, _ in bounds]
        number = [starts[high] - starts[low] for low, high in bounds]
        # both are normalized by the statistics of the training images
        levels = train.levels(pool.images)
        labels = jnp.asarray(pool.labels, jnp.int32)
        parts.append(_Part(levels, labels, jnp.int32(first), jnp.int32(number)))
    most = int(np.max(parts[0].number)), int(np.max(parts[1].number))
    return parts[0], parts[1], most


def permuted(
    train: ImagePool, held_out: ImagePool, num_tasks: int, key: Key[Array, ""]
) -> TaskSequence:
    """Make tasks that differ in the order of pixels; the first has the usual one.

    Args:
      train: images to train on.
      held_out: images to measure accuracy on.
      num_tasks: 1 or more.
      key: of the permutations.

    Returns:
      The sequence.

    Raises:
      ConfigError: ``num_tasks`` is below 1.
    """
    _check(num_tasks)
    pixels = train.num_features
    keys = jax.vmap(lambda number: jax.random.fold_in(key, number))(jnp.arange(1, num_tasks))
    drawn = jax.vmap(lambda one: jax.random.permutation(one, pixels))(keys)
    usual = jnp.arange(pixels, dtype=jnp.int32)[None]
    permutations = jnp.concatenate([usual, drawn.astype(jnp.int32).reshape(-1, pixels)])
    first, second, most = _parts(train, held_out, [(0, train.num_classes)] * num_tasks)
    relabel = jnp.zeros(num_tasks, jnp.int32)
    return TaskSequence(first, second, permutations, None, relabel, most, train.num_classes)


def rotated(train: ImagePool, held_out: ImagePool, turns: Sequence[float]) -> TaskSequence:
    """Make tasks that differ in how far images are turned.

    Args:
      train: images to train on.
      held_out: images to measure accuracy on.
      turns: of each task, in radians.

    Returns:
      The sequence.

    Raises:
      ConfigError: there is no angle.
    """
    _check(len(turns), "turns")
    first, second, most = _parts(train, held_out, [(0, train.num_classes)] * len(turns))
    relabel = jnp.zeros(len(turns), jnp.int32)
    angles = jnp.asarray(turns, jnp.float32)
    return TaskSequence(first, second, None, angles, relabel, most, train.num_classes)


def split(
    train: ImagePool,
    held_out: ImagePool,
    classes_per_task: int,
    labels: Literal["within_task", "of_set"] = "within_task",
    *,
    most: int | None = None,
) -> TaskSequence:
    """Make tasks that have some of the classes each, in the set's order.

    Args:
      train: images to train on.
      held_out: images to measure accuracy on.
      classes_per_task: 1 or more; classes that are left over are not used.
      labels: ``within_task``: labels count a task's own classes from 0, so one head serves all
        tasks; ``of_set``: labels are the set's classes.
      most: tasks to make at most; None: as many as the number of classes allows.

    Returns:
      The sequence.

    Raises:
      ConfigError: ``classes_per_task`` is not between 1 and the set's classes.
    """
    ways = train.num_classes
    if not 1 <= classes_per_task <= ways:
        raise ConfigError("classes_per_task", classes_per_task, f"1 to {ways}, the set's classes")
    bounds = [
        (low, low + classes_per_task)
        for low in range(0, ways - classes_per_task + 1, classes_per_task)
    ][:most]
    first, second, longest = _parts(train, held_out, bounds)
    within = labels == "within_task"
    relabel = jnp.int32([low if within else 0 for low, _ in bounds])
    named = classes_per_task if within else ways
    return TaskSequence(first, second, None, None, relabel, longest, named)


def _check(num_tasks: int, name: str = "num_tasks") -> None:
    if num_tasks < 1:
        raise ConfigError(name, num_tasks, "1 task or more")


class Batch(NamedTuple):
    """What a step sees of a sequence.

    Attributes:
      examples: of the present task.
      task: index of the present task, from 0.
      place: of the step within the task, from 0.
      last: whether it is the task's last step.
      mixed: as many examples, each from a random task up to the present one, for joint training.
      mixed_index: the index of each one's task.
    """

    examples: Examples
    task: Int32[Array, ""]
    place: Int32[Array, ""]
    last: Bool[Array, ""]
    mixed: Examples
    mixed_index: Int32[Array, " n"]


@register_dataclass
@dataclass(frozen=True)
class _Drawn:
    """Batches of a sequence by step."""

    sequence: TaskSequence
    steps_per_task: Int32[Array, ""]
    num: int = field(metadata={"static": True})
    review: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""], step: Int32[Array, ""]) -> Task:
        index = jnp.minimum(step // self.steps_per_task, self.sequence.num_tasks - 1)
        place = step - index * self.steps_per_task
        examples = self.sequence.draw(derive(key, "examples"), index, self.num)
        of = random_indices(derive(key, "mixed tasks"), (self.num,), (index + 1).astype(jnp.uint32))
        keys = jax.random.split(derive(key, "mixed"), self.num)

        def one(key: Any, index: Any) -> Examples:
            return jax.tree.map(lambda leaf: leaf[0], self.sequence.draw(key, index, 1))

        mixed = jax.vmap(one)(keys, of.astype(jnp.int32))
        last = place == self.steps_per_task - 1
        batch = Batch(examples, index, place, last, mixed, of.astype(jnp.int32))
        return Task(batch, self.sequence.draw(derive(key, "review"), index, self.review))


def sequence_tasks(
    sequence: TaskSequence, steps_per_task: int, num: int, review: int = 1
) -> Staged:
    """Return a sequence as the task distribution of training; the step decides the task.

    So one run of :func:`metajax.train.fit` learns the tasks one after the other, and a resumed run
    is in the task in which it stopped. Each draw's ``support`` is a :class:`Batch`. Its ``query``
    has more examples of the present task, for the review at the end of a task.

    Args:
      sequence: of tasks.
      steps_per_task: meta-steps of each.
      num: examples of a draw.
      review: further examples of a draw.

    Returns:
      The task distribution.

    Raises:
      ConfigError: a number is below 1.
    """
    for name, value in (("steps_per_task", steps_per_task), ("num", num), ("review", review)):
        if value < 1:
            raise ConfigError(name, value, "1 or more")
    return Staged(_Drawn(sequence, jnp.int32(steps_per_task), num, review))
