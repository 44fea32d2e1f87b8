"""Measure the accuracy after each task of a sequence, forgetting, and memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from metajax import continual
from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.continual.problem import Problem
from metajax.systems.scores import Evaluation, Interval, Row, around, chance_row

_matrix = jax.jit(continual.accuracy_matrix, static_argnums=0)
_class_means = jax.jit(continual.class_mean_accuracies)
_inferred = jax.jit(continual.inferred_accuracy, static_argnums=0)
_universal = jax.jit(continual.universal_accuracy, static_argnums=0)
_tried = jax.jit(continual.try_bounds, static_argnums=0)


class Known(NamedTuple):
    """Accuracy on every task, after each task or the last alone, and the numbers of examples.

    Attributes:
      matrix: a row after each task; column j on task j.
      examples: held out, by task.
    """

    matrix: Float[np.ndarray, "rows tasks"]
    examples: Float[np.ndarray, " tasks"]

    def so_far(self) -> Interval:
        """Return the mean accuracy on the tasks so far, after each of them."""
        return self.over_first(range(1, len(self.matrix) + 1))

    def over_first(self, numbers: Iterable[int]) -> Interval:
        """Return the mean accuracy on the first so many tasks, for each row of the matrix."""
        mean, half = [], []
        for row, number in zip(self.matrix, numbers, strict=True):
            own, num = row[:number], self.examples[:number]
            mean.append(float(own.mean()))
            # of the mean of the tasks' shares, each of so many examples
            variance = float(np.sum(own * (1 - own) / num)) / number**2
            half.append(1.96 * variance**0.5)
        return around(np.array(mean), np.array(half), int(self.examples.min()))


def known(problem: Problem, predict: Any, after: Params) -> Known:
    """Measure the accuracy after each task."""
    matrix = np.asarray(_matrix(predict, after, problem.sequence), float)
    return Known(matrix, np.asarray(problem.sequence.held_out.number, float))


def on_all_tasks(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the present accuracy on all tasks, later ones included."""
    latest = jax.tree.map(lambda leaf: leaf[-1:], params)
    return known(problem, method.parts.predict, latest).over_first([problem.num_tasks]).last()


def class_means(problem: Problem) -> tuple[Known, float]:
    """Measure the baseline without training: the nearest mean of a task's classes.

    Returns:
      As of a learner, and the accuracy where the task is not told: the nearest mean of all tasks.
    """
    found = _class_means(problem.sequence)
    tasks = problem.num_tasks
    learned = np.tril(np.ones((tasks, tasks), bool))
    # a task that is to come is guessed
    guessed = 1 / problem.sequence.ways
    matrix = np.where(learned, np.asarray(found.told, float)[None], guessed)
    known = Known(matrix, np.asarray(problem.sequence.held_out.number, float))
    return known, float(np.asarray(found.untold, float).mean())


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
    learner: continual.ContinualLearner = method.parts
    found = known(problem, learner.predict, params)
    means, unknown = class_means(problem)
    latest = jax.tree.map(lambda leaf: leaf[-1], params)
    numbers = learner.numbers
    more: dict[str, Any] = {
        "matrix": found.matrix.tolist(),
        **continual.summarize(found.matrix)._asdict(),
        "chance": 1 / problem.sequence.ways,
        "class_means": {"final": continual.summarize(means.matrix).final, "inferred": unknown},
        **without_task(problem, learner, latest),
        "numbers": None if numbers is None else numbers(latest, None, problem.num_tasks),
    }
    rows = {
        "tasks_so_far": Row(f"{config.method}, on all tasks so far", found.so_far()),
        "class_means": Row("nearest mean of each task's classes", means.so_far(), baseline=True),
        "chance": chance_row([more["chance"]], int(found.examples.min())),
    }
    points = [float(place + 1) for place in range(problem.num_tasks)]
    return Evaluation(rows, axis="tasks", points=points, more=more)


def without_task(
    problem: Problem, learner: continual.ContinualLearner, latest: Params
) -> dict[str, float]:
    """Return the accuracy where the task is not told, and the results that bounds give."""
    found = {}
    if learner.by_task:
        found["inferred"] = _inferred(learner, latest, problem.sequence)
    if learner.universal is not None:
        found["universal"] = _universal(learner, latest, problem.sequence)
    if learner.boxed is not None:
        found |= _tried(learner.boxed, latest, problem.sequence)._asdict()
    return {name: float(value) for name, value in found.items()}
