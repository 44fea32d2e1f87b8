"""A trained sequence of tasks, used on a person's own images."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32

from metajax.continual import least_entropy
from metajax.core import ConfigError, Params
from metajax.systems.base import Use
from metajax.systems.continual.problem import make_problem
from metajax.systems.uses import image_form
from metajax.using import Adapted, Labels, Told, check_no_steps, read_queries, tell_labels


class TaskLabels(NamedTuple):
    """What images are, by what the tasks of training taught.

    Attributes:
      labels: the likeliest class of each image, as the set of the training numbers it.
      probabilities: of the classes of its task, in their order.
      tasks: the task of each image, from 0: the one that was given or inferred. None where it was
        not given and the method has one network for all tasks, whose classes are the same.
    """

    labels: Int[np.ndarray, " images"]
    probabilities: Float[np.ndarray, "images ways"]
    tasks: Int[np.ndarray, " images"] | None


class _State(NamedTuple):
    """Parameters after the last task, the task that was given, and the statistics of the set."""

    params: Params
    task: Int32[Array, ""]
    mean: Float[Array, ""]
    std: Float[Array, ""]


@functools.lru_cache(maxsize=64)
def _function(predict: Any, num_tasks: int | None) -> Callable[..., Any]:
    """Return ``function(state, images) -> (probabilities, tasks)``; with ``num_tasks`` the task of
    each image is inferred."""

    def function(state: _State, images: Array) -> tuple[Array, Array]:
        inputs = (images.reshape(images.shape[0], -1) - state.mean) / state.std
        if num_tasks is None:
            logits = predict(state.params, state.task, inputs)
            tasks = jnp.broadcast_to(state.task, (images.shape[0],))
        else:
            logits, tasks = least_entropy(predict, state.params, num_tasks, inputs)
        return jax.nn.softmax(logits), tasks.astype(jnp.int32)

    return function


def ready(run: Any, task: int | None) -> Adapted:
    """Return what predicts one task's images, or those of any; they are as the task has them.

    The set of the training is read, for the mean and the deviation of its images.

    Raises:
      ConfigError: there is no such task.
      MissingDataError: the set is not on disk.
    """
    problem = make_problem(run.settings, run.training, run.data_dir)
    sequence, learner = problem.sequence, run.method.parts
    known = isinstance(task, int) and 0 <= task < sequence.num_tasks
    shared = bool((sequence.relabel == sequence.relabel[0]).all())
    # one network for all tasks predicts without the task where the classes are the same
    if not known and (task is not None or not (learner.by_task or shared)):
        alone = ", or None to infer it" if learner.by_task or shared else ""
        expected = f"0 to {sequence.num_tasks - 1}, a task of the sequence{alone}"
        raise ConfigError("task", task, expected)
    inferred = task is None and learner.by_task
    form = image_form(run.settings)
    first = np.asarray(sequence.relabel)

    def answer(found: tuple[np.ndarray, np.ndarray]) -> TaskLabels:
        probabilities, tasks = found
        labels = probabilities.argmax(1) + first[tasks]
        return TaskLabels(labels, probabilities, tasks if known or inferred else None)

    return Adapted(
        _function(learner.predict, sequence.num_tasks if inferred else None),
        _State(
            jax.tree.map(lambda leaf: leaf[-1], run.params),
            jnp.int32(task or 0),
            problem.mean,
            problem.std,
        ),
        form.query,
        functools.partial(form.encode, "inputs"),
        answer,
    )


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict the images ``queries`` of an ``.npz`` file; their task is inferred.

    Raises:
      ConfigError: the file holds something else.
    """
    check_no_steps(steps)
    queries = read_queries(path, target)["queries"]
    found = run.ready().predict(queries)
    tasks = {} if found.tasks is None else {"task": found.tasks}
    shown = Labels(found.labels, found.probabilities, np.arange(found.probabilities.shape[1]))
    line = f"{len(queries)} images of {run.settings.num_tasks} tasks at most"
    return tell_labels(shown, queries, line, run.ready, more=tasks)


use = Use(None, files, ready=ready)
"""A trained sequence is used without a support."""
