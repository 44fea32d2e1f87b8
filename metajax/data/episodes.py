"""Classification tasks of a few classes each, drawn from a pool on the device."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32, Key, UInt32

from metajax.core import (
    ConfigError,
    Examples,
    Task,
    TaskDistribution,
    indices_from,
    register_dataclass,
)
from metajax.data.images import ImageSet, rotated_classes, split_classes
from metajax.data.pool import ImagePool, device_pool


@register_dataclass
@dataclass(frozen=True)
class EpisodeTasks:
    """Tasks of ``ways`` random classes, ``shots`` examples of each to learn, ``queries`` to score.

    Every call draws new classes, labels and images; within a task no image occurs
    twice, so none of the query is in the support (N-way K-shot episodes: Vinyals et al. 2016,
    arXiv 1606.04080). Inputs are normalized images ``[examples, h, w, c]``; the examples of both
    parts go round the classes, so any ``ways`` in a row hold one of each.

    Attributes:
      pool: the images.
      label_noise: fraction of the support's labels that are replaced by a uniformly drawn class of
        the task, which may be the right one: symmetric noise.
      ways: classes of a task. Static.
      shots: examples per class of the support. Static.
      queries: examples per class of the query. Static.
      largest_class: images of the pool's largest class. Static.
    """

    pool: ImagePool
    label_noise: Float32[Array, ""]
    ways: int = field(metadata={"static": True})
    shots: int = field(metadata={"static": True})
    queries: int = field(metadata={"static": True})
    largest_class: int = field(metadata={"static": True})

    def __call__(self, key: Key[Array, ""]) -> Task:
        """Draw a task: inputs ``[examples, h, w, c]`` and targets ``[examples]`` in both parts."""
        num = self.shots + self.queries
        num_classes, largest = self.pool.num_classes, self.largest_class
        # one call draws for all purposes: calls are what takes long to compile
        sizes = (num_classes, self.ways * largest, 2 * self.ways * self.shots)
        bits = jax.random.bits(key, (sum(sizes),), jnp.uint32)
        of_classes, of_images, of_noise = jnp.split(bits, np.cumsum(sizes)[:-1])
        _, classes = jax.lax.top_k(of_classes, self.ways)
        starts, ends = self.pool.class_starts[classes], self.pool.class_starts[classes + 1]
        within = jnp.arange(largest, dtype=jnp.int32)[None] < (ends - starts)[:, None]
        # the places of the largest random numbers are distinct images; places past the end lose
        lots = jnp.where(within, of_images.reshape(self.ways, largest) | 1, 0)
        _, places = jax.lax.top_k(lots, num)
        images = self.pool.images[(starts[:, None] + places).T]
        inputs = self.pool.normalise(images.reshape(-1, *images.shape[2:]))
        inputs = inputs.reshape(num * self.ways, *images.shape[2:])
        labels = jnp.tile(jnp.arange(self.ways), num)
        cut = self.ways * self.shots
        support = Examples(inputs[:cut], self.noisy(labels[:cut], of_noise))
        return Task(support, Examples(inputs[cut:], labels[cut:]))

    def noisy(self, labels: Int32[Array, " n"], bits: UInt32[Array, " 2n"]) -> Int32[Array, " n"]:
        """Replace the fraction ``label_noise`` of the labels by uniform ones."""
        which, replacement = jnp.split(bits, 2)
        wrong = (which >> 8).astype(jnp.float32) < self.label_noise * 2**24
        return jnp.where(wrong, indices_from(replacement, jnp.uint32(self.ways)), labels)


def episode_tasks(
    pool: ImagePool, *, ways: int, shots: int, queries: int, label_noise: float = 0.0
) -> EpisodeTasks:
    """Make :class:`EpisodeTasks`.

    Args:
      pool: images on the device.
      ways: classes of a task.
      shots: support examples per class.
      queries: query examples per class.
      label_noise: fraction of the support's labels that are drawn at random, 0 to 1.

    Returns:
      The task distribution.

    Raises:
      ConfigError: more ways than the pool has classes, more examples than its smallest class has
        images, or a fraction out of range.
    """
    if not 2 <= ways <= pool.num_classes:
        raise ConfigError("ways", ways, f"2 to {pool.num_classes}, the classes to draw from")
    sizes = np.diff(np.asarray(pool.class_starts))
    for name, num in (("shots", shots), ("queries", queries)):
        if num < 1:
            raise ConfigError(name, num, "1 or more examples per class")
    if shots + queries > sizes.min():
        raise ConfigError(
            "shots + queries",
            shots + queries,
            f"at most {sizes.min()}, the images of the smallest class",
        )
    if not 0 <= label_noise <= 1:
        raise ConfigError("label_noise", label_noise, "a fraction between 0 and 1")
    return EpisodeTasks(pool, jnp.float32(label_noise), ways, shots, queries, int(sizes.max()))


class TaskParts(NamedTuple):
    """What is trained on, what is measured along the way, and what is evaluated at the end."""

    train: TaskDistribution
    valid: TaskDistribution
    test: TaskDistribution


def episode_parts(
    image_set: ImageSet,
    classes: tuple[int, int, int],
    *,
    rotations: bool = False,
    **options: Any,
) -> TaskParts:
    """Deal a set's classes to training, validation and test, and make episodes of each part.

    Which class is in which part is the same every time.

    Args:
      image_set: all images, as :func:`metajax.data.load_images` reads them.
      classes: how many classes each part gets, before rotations.
      rotations: see :func:`metajax.data.rotated_classes`.
      **options: of :func:`episode_tasks`.

    Returns:
      Task distributions by part.

    Raises:
      ConfigError: more classes than there are, images that are not square but are to be turned,
        or what :func:`episode_tasks` rejects.
    """

    def part(some: ImageSet) -> EpisodeTasks:
        return episode_tasks(device_pool(rotated_classes(some) if rotations else some), **options)

    return TaskParts(*map(part, split_classes(image_set, classes)))
