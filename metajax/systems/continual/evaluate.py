"""Measure the accuracy after each task of a sequence, forgetting, and memory."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.continual import (
    accuracy_matrix,
    counted_accuracy,
    least_entropy,
    summarize,
    verified,
)
from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.continual.problem import Problem
from metajax.systems.scores import Evaluation, Interval, Row, chance_row


class Known(NamedTuple):
    """Accuracy after each task on every task, ``[tasks, tasks]``, and the numbers of examples.

    Attributes:
      matrix: row i after task i, column j on task j.
      examples: held out, by task.
    """

    matrix: Float[np.ndarray, "tasks tasks"]
    examples: Float[np.ndarray, " tasks"]

    def so_far(self) -> Interval:
        """Return the mean accuracy on the tasks so far, after each of them."""
        mean, half = [], []
        for place, row in enumerate(self.matrix):
            own, num = row[: place + 1], self.examples[: place + 1]
            mean.append(float(own.mean()))
            # of the mean of the tasks' shares, each of so many examples
            variance = float(np.sum(own * (1 - own) / num)) / len(own) ** 2
            half.append(1.96 * variance**0.5)
        low, high = ([m - sign * h for m, h in zip(mean, half, strict=True)] for sign in (1, -1))
        return Interval(mean, low, high, int(self.examples.min()))


@functools.partial(jax.jit, static_argnums=0)
def _matrix(predict: Any, after: Params, sequence: Any) -> Array:
    return accuracy_matrix(predict, after, sequence)


def known(problem: Problem, predict: Any, after: Params) -> Known:
    """Measure the accuracy after each task."""
    matrix = np.asarray(_matrix(predict, after, problem.sequence), float)
    return Known(matrix, np.asarray(problem.sequence.held_out.number, float))


def on_all_tasks(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the present accuracy on all tasks, later ones included."""
    latest = jax.tree.map(lambda leaf: leaf[-1:], params)
    found = known(problem, method.parts.learner.predict, latest)
    return Known(np.repeat(found.matrix, problem.num_tasks, 0), found.examples).so_far().last()


class ClassMeans(NamedTuple):
    """The baseline without training: the nearest mean of a task's classes.

    Attributes:
      known: as of a learner; means are kept, so nothing is forgotten.
      inferred: accuracy where the task is not told: the nearest mean of all tasks.
    """

    known: Known
    inferred: float


def class_means(problem: Problem) -> ClassMeans:
    """Measure the baseline without training."""
    accuracies, inferred = (np.asarray(one, float) for one in _by_class_means(problem.sequence))
    tasks = problem.num_tasks
    learned = np.tril(np.ones((tasks, tasks), bool))
    # a task that is to come is guessed
    guessed = 1 / problem.sequence.ways
    matrix = np.where(learned, accuracies[None], guessed)
    found = Known(matrix, np.asarray(problem.sequence.held_out.number, float))
    return ClassMeans(found, float(inferred.mean()))


@jax.jit
def _by_class_means(sequence: Any) -> tuple[Float[Array, " tasks"], Float[Array, " tasks"]]:
    ways, places = sequence.ways, jnp.arange(sequence.num_tasks, dtype=jnp.int32)

    def means_of(index: Array) -> Array:
        train = sequence.all_of(index)
        label = jnp.where(train.counts[:, None], jax.nn.one_hot(train.examples.targets, ways), 0)
        return (label.T @ train.examples.inputs) / jnp.maximum(jnp.sum(label, 0), 1)[:, None]

    means = jax.lax.map(means_of, places)

    def on_task(index: Array) -> tuple[Array, Array]:
        examples, counts = sequence.held_out_of(index)
        nearness = (
            jnp.einsum("nd,twd->ntw", examples.inputs, means) - jnp.sum(means**2, 2)[None] / 2
        )
        told, untold = nearness[:, index], jnp.max(nearness, 1)
        return (
            counted_accuracy(told, examples.targets, counts),
            counted_accuracy(untold, examples.targets, counts),
        )

    return jax.lax.map(on_task, places)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy after each task, and how much of it remains.

    ``more`` holds the accuracy matrix and its summary, the numbers that are kept, and the accuracy
    without a known task: where the surest network decides (``inferred``), and of the one network
    that stands for all tasks (``universal``). HyperInterval makes it from the embedding that all
    boxes share, other hypernetworks from the mean embedding. For HyperInterval ``more`` also has
    the share of inputs that the bounds prove (``verified``), and by how much a logit of a network
    drawn from a box exceeds its bounds, relative to the largest bound (``excess``).
    """
    parts = method.parts
    found = known(problem, parts.learner.predict, params)
    means = class_means(problem)
    tasks = problem.num_tasks
    latest = jax.tree.map(lambda leaf: leaf[-1], params)
    more: dict[str, Any] = {
        "matrix": found.matrix.tolist(),
        **summarize(found.matrix)._asdict(),
        "chance": 1 / problem.sequence.ways,
        "class_means": {
            "final": summarize(means.known.matrix).final,
            "inferred": means.inferred,
        },
        **told(problem, parts, latest),
    }
    kept = parts.learner.numbers
    more["numbers"] = None if kept is None else kept(latest, None, tasks)
    rows = {
        "tasks_so_far": Row(f"{config.method}, on all tasks so far", found.so_far()),
        "class_means": Row(
            "nearest mean of each task's classes", means.known.so_far(), baseline=True
        ),
        "chance": chance_row([more["chance"]], int(found.examples.min())),
    }
    points = [float(place + 1) for place in range(tasks)]
    return Evaluation(rows, axis="tasks", points=points, more=more)


def told(problem: Problem, parts: Any, latest: Params) -> dict[str, Any]:
    """Return the accuracy where the task is inferred, and the results that bounds give."""
    found = {}
    if parts.inferred:
        found["inferred"] = float(_inferred(parts.learner.predict, latest, problem.sequence))
    if parts.universal is not None:
        found["universal"] = float(_universal(parts.universal, latest, problem.sequence))
    if parts.intervals is not None:
        sure, excess = _bounded(parts.intervals, latest, problem.sequence)
        found |= {"verified": float(sure), "excess": float(excess)}
    return found


@functools.partial(jax.jit, static_argnums=0)
def _inferred(predict: Any, params: Params, sequence: Any) -> Array:
    def on_task(index: Array) -> Array:
        examples, counts = sequence.held_out_of(index)
        logits, _ = least_entropy(predict, params, sequence.num_tasks, examples.inputs)
        return counted_accuracy(logits, examples.targets, counts)

    return jnp.mean(jax.lax.map(on_task, jnp.arange(sequence.num_tasks, dtype=jnp.int32)))


@functools.partial(jax.jit, static_argnums=0)
def _universal(universal: Any, params: Params, sequence: Any) -> Array:
    def on_task(index: Array) -> Array:
        examples, counts = sequence.held_out_of(index)
        return counted_accuracy(universal(params, examples.inputs), examples.targets, counts)

    return jnp.mean(jax.lax.map(on_task, jnp.arange(sequence.num_tasks, dtype=jnp.int32)))


DRAWS = 20
"""Networks of each task's box whose logits are compared with the bounds."""


@functools.partial(jax.jit, static_argnums=0)
def _bounded(intervals: Any, params: Params, sequence: Any) -> tuple[Array, Array]:
    def on_task(index: Array) -> tuple[Array, Array]:
        examples, counts = sequence.held_out_of(index)
        bounds = intervals.bounds(params, index, examples.inputs)
        box = intervals.box(params, index)

        def excess(key: Array) -> Array:
            place = jax.random.uniform(key, box.center.shape, minval=-1, maxval=1)
            made = intervals.network(params, box.center + place * box.radius)
            logits = intervals.apply(made, examples.inputs)
            over = jnp.maximum(logits - bounds.upper, bounds.lower - logits)
            scale = jnp.maximum(jnp.abs(bounds.upper), jnp.abs(bounds.lower))
            return jnp.maximum(jnp.max(over), 0) / jnp.max(scale)

        keys = jax.random.split(jax.random.fold_in(jax.random.key(0), index), DRAWS)
        return verified(bounds, examples.targets, counts), jnp.max(jax.lax.map(excess, keys))

    sure, excess = jax.lax.map(on_task, jnp.arange(sequence.num_tasks, dtype=jnp.int32))
    return jnp.mean(sure), jnp.max(excess)
