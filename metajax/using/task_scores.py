"""A learner's loss and metrics on tasks."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    MetaLearner,
    Params,
    Task,
    at_step,
    check_learner,
    kind,
)
from metajax.using.adapted import check_number, usual_key


def scores(
    learner: MetaLearner,
    params: Params,
    tasks: Any,
    num: int = 100,
    key: Key[Array, ""] | None = None,
) -> dict[str, Float[np.ndarray, "num ..."]]:
    """Return a learner's loss and metrics on each of several tasks.

    Args:
      learner: which.
      params: what was trained.
      tasks: a task distribution of the learner's own arrays, or a list of such tasks.
      num: how many are drawn of a distribution.
      key: they are drawn with, and for what adapting draws; ``jax.random.key(0)`` by default.

    Returns:
      The ``loss``, and each metric by its name.

    Raises:
      ConfigError: ``learner`` or ``tasks`` is something else, or there are no tasks.

    Examples:
      >>> import jax
      >>> import metajax as mj
      >>> from metajax.learners import mean_squared_error, ridge
      >>> tasks = mj.data.sinusoid_tasks(5, 10)
      >>> learner = ridge(mj.nn.mlp([16], 16), mean_squared_error)
      >>> params = learner.init(jax.random.key(0), tasks(jax.random.key(1)))
      >>> mj.using.scores(learner, params, tasks, num=20)["loss"].shape
      (20,)
    """
    key = usual_key(key)
    check_learner(learner)
    check_number("num", num)
    listed = isinstance(tasks, list | tuple) and not isinstance(tasks, Task)
    drawn = callable(at_step(tasks)) and all(leaf is not tasks for leaf in jax.tree.leaves(tasks))
    if not (drawn or (listed and tasks)):
        expected = "tasks in a list, or a callable pytree such as jax.tree_util.Partial(draw)"
        raise ConfigError("tasks", kind(tasks), expected)
    if listed:
        keys = jax.random.split(key, len(tasks))
        each = [_loss(learner, params, *pair) for pair in zip(tasks, keys, strict=True)]
        found = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    else:
        found = _losses(learner, params, at_step(tasks), jax.random.split(key, num))
    return jax.tree.map(np.asarray, found)


@functools.partial(jax.jit, static_argnums=0)
def _loss(learner: MetaLearner, params: Any, task: Any, key: Any) -> Any:
    loss, metrics = learner.loss(params, task, key)
    return {"loss": loss, **metrics}


@functools.partial(jax.jit, static_argnums=0)
def _losses(learner: MetaLearner, params: Any, tasks: Any, keys: Any) -> Any:
    def one(key: Any) -> Any:
        task_key, adapt_key = jax.random.split(key)
        return _loss(learner, params, tasks(task_key), adapt_key)

    return jax.lax.map(one, keys)
