"""Accuracies on the tasks of a sequence: with the task told, inferred, or of no account."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.continual.generated import least_entropy
from metajax.continual.intervals import verified
from metajax.continual.learner import BoxedNetworks, ContinualLearner, counted_accuracy
from metajax.continual.sequences import TaskSequence
from metajax.core import ConfigError, Params


def accuracy_by_task(
    logits_of: Callable[[Int32[Array, ""], Array], Float[Array, "n ways"]], sequence: TaskSequence
) -> Float[Array, " tasks"]:
    """Return the accuracy on the held-out examples of each task.

    Args:
      logits_of: ``logits_of(index, inputs)``, of a task's inputs.
      sequence: of tasks, with held-out examples.
    """

    def on_task(index: Array) -> Array:
        examples, counts = sequence.held_out_of(index)
        return counted_accuracy(logits_of(index, examples.inputs), examples.targets, counts)

    return jax.lax.map(on_task, jnp.arange(sequence.num_tasks, dtype=jnp.int32))


def inferred_accuracy(
    learner: ContinualLearner, params: Params, sequence: TaskSequence
) -> Float[Array, ""]:
    """Return the mean accuracy where the task is not told: the surest network decides.

    Args:
      learner: with a network for each task, see :func:`least_entropy`.
      params: after the last task.
      sequence: of tasks, with held-out examples.
    """

    def logits_of(index: Array, inputs: Array) -> Array:
        return least_entropy(learner.predict, params, sequence.num_tasks, inputs)[0]

    return jnp.mean(accuracy_by_task(logits_of, sequence))


def universal_accuracy(
    learner: ContinualLearner, params: Params, sequence: TaskSequence
) -> Float[Array, ""]:
    """Return the mean accuracy of the one network that stands for all tasks.

    Args:
      learner: that has such a network.
      params: after the last task.
      sequence: of tasks, with held-out examples.

    Raises:
      ConfigError: the learner has none.
    """
    universal = learner.universal
    if universal is None:
        raise ConfigError("learner", learner, "one with a network that stands for all tasks")
    return jnp.mean(accuracy_by_task(lambda index, inputs: universal(params, inputs), sequence))


class ClassMeans(NamedTuple):
    """Accuracies of the nearest class mean, by task.

    Attributes:
      told: the task is known: the nearest of its own means.
      untold: the nearest mean of all tasks, by its label in its task.
    """

    told: Float[Array, " tasks"]
    untold: Float[Array, " tasks"]


def class_mean_accuracies(sequence: TaskSequence) -> ClassMeans:
    """Measure the baseline without training: the nearest mean of the training inputs of a class.

    Means of earlier tasks are kept, so nothing is forgotten.

    Args:
      sequence: of tasks, with held-out examples.

    Returns:
      Accuracies, by task.
    """
    ways, places = sequence.ways, jnp.arange(sequence.num_tasks, dtype=jnp.int32)

    def means_of(index: Array) -> Array:
        train = sequence.all_of(index)
        label = jnp.where(train.counts[:, None], jax.nn.one_hot(train.examples.targets, ways), 0)
        return (label.T @ train.examples.inputs) / jnp.maximum(jnp.sum(label, 0), 1)[:, None]

    means = jax.lax.map(means_of, places)

    def on_task(index: Array) -> ClassMeans:
        examples, counts = sequence.held_out_of(index)
        nearness = (
            jnp.einsum("nd,twd->ntw", examples.inputs, means) - jnp.sum(means**2, 2)[None] / 2
        )
        told, untold = nearness[:, index], jnp.max(nearness, 1)
        return ClassMeans(
            counted_accuracy(told, examples.targets, counts),
            counted_accuracy(untold, examples.targets, counts),
        )

    return jax.lax.map(on_task, places)


class TriedBounds(NamedTuple):
    """What bounds are worth, and whether they hold.

    Attributes:
      verified: share of held-out inputs that every network within the bounds classifies as true.
      excess: by how much a logit of a network drawn from a box exceeds its bounds at most,
        relative to the largest bound.
    """

    verified: Float[Array, ""]
    excess: Float[Array, ""]


def try_bounds(
    boxed: BoxedNetworks, params: Params, sequence: TaskSequence, draws: int = 20
) -> TriedBounds:
    """Compare the bounds of each task with networks drawn from the task's box.

    Args:
      boxed: of a learner.
      params: after the last task.
      sequence: of tasks, with held-out examples.
      draws: networks of each task.

    Returns:
      What the bounds prove, and by how much they fail.
    """

    def on_task(index: Array) -> tuple[Array, Array]:
        examples, counts = sequence.held_out_of(index)
        bounds = boxed.bounds(params, index, examples.inputs)
        box = boxed.box(params, index)

        def excess(key: Key[Array, ""]) -> Array:
            place = jax.random.uniform(key, box.center.shape, minval=-1, maxval=1)
            made = boxed.network(params, box.center + place * box.radius)
            logits = boxed.apply(made, examples.inputs)
            over = jnp.maximum(logits - bounds.upper, bounds.lower - logits)
            scale = jnp.maximum(jnp.abs(bounds.upper), jnp.abs(bounds.lower))
            return jnp.maximum(jnp.max(over), 0) / jnp.max(scale)

        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), index), draws)
        return verified(bounds, examples.targets, counts), jnp.max(jax.lax.map(excess, keys))

    sure, excess = jax.lax.map(on_task, jnp.arange(sequence.num_tasks, dtype=jnp.int32))
    return TriedBounds(jnp.mean(sure), jnp.max(excess))
