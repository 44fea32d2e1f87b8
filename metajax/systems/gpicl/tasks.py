"""GPICL's task distribution: random projections of images and permutations of labels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Float32, Int32, Integer, Key, UInt8, UInt32

from metajax.core import ConfigError, Examples, Task, indices_from, normals_from, register_dataclass
from metajax.data import ImagePool
from metajax.systems.gpicl.distortions import distort

DRAW_BITS = 3
"""Random words behind a draw: its id, whether it is biased, and its number of ways."""


class Draw(NamedTuple):
    """A task: its projection, label order and classes, and which of these it uses.

    ``classes`` ascend; the first ``num_ways`` of ``used`` say which of them a draw uses. All but
    ``num_ways``, which is drawn each time, are those of the task's id.
    """

    projection: Float32[Array, "features features"]
    permutation: Int32[Array, " ways"]
    classes: Int32[Array, " ways"]
    used: Int32[Array, " ways"]
    num_ways: UInt32[Array, ""]


def ranks(values: UInt32[Array, " n"]) -> Int32[Array, " n"]:
    """Return each value's place in ascending order: of random bits, a random permutation.

    By comparing all pairs: for a handful of values that compiles much faster than a sort.
    """
    index = jnp.arange(values.shape[0])
    below = (values[None] < values[:, None]) | (
        (values[None] == values[:, None]) & (index[None] < index[:, None])
    )
    return jnp.sum(below, axis=1, dtype=jnp.int32)


@register_dataclass
@dataclass(frozen=True)
class ProjectionTasks:
    """Tasks ``x' = A x``, ``y' = rho(y)`` over one set of images (arXiv 2212.04458, section 4).

    A task is an id: ``A`` (entries N(0, 1/features)), the permutation ``rho`` and, where fewer
    ways than classes are asked for, the classes drawn come from ``fold_in(key, id)`` alone, so
    the same id is the same task wherever it is met. Calling it with a key draws an id uniformly
    from ``first_task <= id < first_task + num_tasks`` (32 random bits modulo ``num_tasks``) and
    ``sequences`` sequences of ``length`` examples each. It is a pytree: all but the static sizes
    is traced.

    Attributes:
      pool: the images.
      key: what the ids are folded into.
      first_task: the first id; a range apart from the training range gives unseen tasks.
      num_tasks: how many ids.
      bias: fraction of the draws whose label permutation is the identity, whatever the id: the
        paper's curriculum against the loss plateau.
      min_ways: a draw uses this many of its task's classes or more, up to ``ways``, each number
        as likely: tasks of few classes are learned first and shorten the plateau for the others.
      distorted: fraction of the draws whose images go through one random change of look
        (:func:`~metajax.systems.gpicl.distortions.distort`); None: none of them.
      sequences: sequences per draw, all of the same task.
      length: examples per sequence; the last is the query, the others the support.
      ways: classes of a task; examples are drawn from them evenly.
      identity: leave images and labels as they are (with fewer ways, classes are still drawn).
    """

    pool: ImagePool
    key: Key[Array, ""]
    first_task: UInt32[Array, ""]
    num_tasks: UInt32[Array, ""]
    bias: Float32[Array, ""]
    min_ways: UInt32[Array, ""]
    distorted: Float32[Array, ""] | None
    sequences: int = field(metadata={"static": True})
    length: int = field(metadata={"static": True})
    ways: int = field(metadata={"static": True})
    identity: bool = field(default=False, metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw a task: inputs ``[sequences, length, features]``, targets without ``features``."""
        num = self.sequences * self.length
        # one call draws for all purposes: calls are what takes long to compile
        bits = jax.random.bits(key, (DRAW_BITS + 2 * num,), jnp.uint32)
        draw = self.draw(bits[:DRAW_BITS])
        labels = draw.used[indices_from(bits[DRAW_BITS : DRAW_BITS + num], draw.num_ways)]
        inputs = self.pool.examples_from(bits[DRAW_BITS + num :], draw.classes[labels])
        if self.distorted is not None:
            inputs = self._distorted(inputs, self.distorted, jax.random.fold_in(key, 1))
        shape = (self.sequences, self.length)
        return self.assemble(draw, inputs.reshape(*shape, -1), labels.reshape(shape))

    def _distorted(
        self, inputs: Float[Array, "num features"], often: Float[Array, ""], key: Key[Array, ""]
    ) -> Float[Array, "num features"]:
        """Change the look of all images, or of none."""
        which, how = jax.random.split(key)
        levels = jnp.clip(inputs * self.pool.std + self.pool.mean, 0, 1)
        images = levels.reshape(-1, *self.pool.images.shape[1:])
        changed = distort(images, how).reshape(inputs.shape)
        return jnp.where(jax.random.uniform(which) < often, changed, inputs)

    def draw(self, bits: UInt32[Array, " 3"]) -> Draw:
        """Draw an id from ``DRAW_BITS`` random words, and what the id decides."""
        task_key = jax.random.fold_in(self.key, self.first_task + bits[0] % self.num_tasks)
        features, ways = self.pool.num_features, self.ways
        num_orders = 2 * ways + self.pool.num_classes
        of_task = jax.random.bits(task_key, (num_orders + features**2,), jnp.uint32)
        orders, entries = of_task[:num_orders], of_task[num_orders:]
        projection = normals_from(entries.reshape(features, features)) * features**-0.5
        permutation, used = ranks(orders[:ways]), ranks(orders[ways : 2 * ways])
        drawn = ranks(orders[2 * ways :]) < ways
        before = jnp.cumsum(drawn) - 1  # a drawn class's place among those drawn
        places = drawn[None] & (before[None] == jnp.arange(ways)[:, None])
        classes = jnp.argmax(places, axis=1)
        biased = (bits[1] >> 8).astype(jnp.float32) < self.bias * 2**24
        permutation = jnp.where(biased, jnp.arange(ways), permutation)
        num_ways = self.min_ways + bits[2] % (jnp.uint32(ways + 1) - self.min_ways)
        return Draw(projection, permutation, classes, used, num_ways)

    def assemble(
        self,
        draw: Draw,
        inputs: Float[Array, "sequences length features"],
        labels: Integer[Array, "sequences length"],
    ) -> Task:
        """Project normalized images and permute labels (below ``ways``) as the draw says."""
        if not self.identity:
            inputs = inputs @ draw.projection
            labels = draw.permutation[labels]
        examples = Examples(inputs, labels)
        return Task(
            support=jax.tree.map(lambda leaf: leaf[:, :-1], examples),
            query=jax.tree.map(lambda leaf: leaf[:, -1:], examples),
        )


@register_dataclass
@dataclass(frozen=True)
class HostFedTasks:
    """The same tasks over images that the host reads: ``tasks(key, raw) -> Task``.

    ``raw`` is one task's share of a batch from :func:`metajax.data.host_batches`. ``tasks.pool``
    is there for its statistics alone. All classes of the set
    are used: ``ways`` must equal their number.
    """

    tasks: ProjectionTasks

    def __call__(self, key: Key[Array, ""], raw: dict[str, Any]) -> Task:
        images: UInt8[Array, "sequences length h w c"] = raw["images"]
        inputs = self.tasks.pool.normalise(images)
        bits = jax.random.bits(key, (DRAW_BITS,), jnp.uint32)
        return self.tasks.assemble(self.tasks.draw(bits), inputs, raw["labels"])


def projection_tasks(
    pool: ImagePool,
    key: Key[Array, ""],
    *,
    num_tasks: int,
    length: int,
    ways: int | None = None,
    sequences: int = 1,
    bias: float = 0.0,
    min_ways: int | None = None,
    distorted: float = 0.0,
    first_task: int = 0,
) -> ProjectionTasks:
    """Make :class:`ProjectionTasks`, with all classes of the pool in every draw by default.

    Args:
      pool: images on the device.
      key: of all tasks; another key makes other tasks.
      num_tasks: tasks that can be drawn.
      length: examples of a sequence.
      ways: classes of a task, or None for all.
      sequences: sequences of a task.
      bias: fraction of the draws whose labels are not permuted, 0 to 1.
      min_ways: fewest classes of a task, or None for ``ways`` always.
      distorted: fraction of the draws whose images are distorted, 0 to 1.
      first_task: id of the first task.

    Returns:
      The task distribution.

    Raises:
      ConfigError: a size or fraction is out of range.
    """
    ways = pool.num_classes if ways is None else ways
    if not 2 <= ways <= pool.num_classes:
        raise ConfigError("ways", ways, f"2 to {pool.num_classes}, the classes of the base set")
    min_ways = ways if min_ways is None else min_ways
    if not 2 <= min_ways <= ways:
        raise ConfigError("min_ways", min_ways, f"2 to {ways}, the ways of a task")
    if length < 2:
        raise ConfigError("length", length, "2 examples or more")
    if sequences < 1:
        raise ConfigError("sequences", sequences, "1 or more")
    if not 0 <= bias <= 1:
        raise ConfigError("bias", bias, "a fraction between 0 and 1")
    if not 0 <= distorted <= 1:
        raise ConfigError("distorted", distorted, "a fraction between 0 and 1")
    if num_tasks < 1 or not 0 <= first_task <= 2**32 - num_tasks:
        raise ConfigError(
            "num_tasks", num_tasks, f"1 or more, with ids from {first_task} below 2**32"
        )
    return ProjectionTasks(
        pool,
        key,
        jnp.uint32(first_task),
        jnp.uint32(num_tasks),
        jnp.float32(bias),
        jnp.uint32(min_ways),
        jnp.float32(distorted) if distorted else None,
        sequences=sequences,
        length=length,
        ways=ways,
    )


UNSEEN_TASKS = 2**31
"""Unseen tasks have ids from here on; training ids stay below."""


def unseen(tasks: ProjectionTasks) -> ProjectionTasks:
    """Return tasks whose ids training never draws, as many as there can be, without curriculum.

    Args:
      tasks: that are trained on.
    """
    return dataclasses.replace(
        without_curriculum(tasks),
        first_task=jnp.uint32(UNSEEN_TASKS),
        num_tasks=jnp.uint32(2**31),
    )


def without_curriculum(tasks: ProjectionTasks) -> ProjectionTasks:
    """Return the same tasks: their own label orders, all their ways, images as they are."""
    every = jnp.uint32(tasks.ways)
    return dataclasses.replace(tasks, bias=jnp.float32(0), min_ways=every, distorted=None)
