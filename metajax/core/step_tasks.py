"""A function over the tasks of a meta-step: their keys, their means, some of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from metajax.core.errors import ConfigError
from metajax.core.keys import task_keys
from metajax.core.trees import mean_over_devices, mean_over_tasks


def check_tasks_at_once(tasks_at_once: Any) -> None:
    """Raise where so many tasks cannot be worked on at once.

    Args:
      tasks_at_once: the setting.

    Raises:
      ConfigError: it is neither a whole number of 1 or more nor None.
    """
    whole = isinstance(tasks_at_once, int | np.integer) and tasks_at_once >= 1
    if tasks_at_once is not None and not whole:
        raise ConfigError("tasks_at_once", tasks_at_once, "a whole number of 1 or more, or None")


def over_tasks(
    function: Callable[..., tuple[PyTree, PyTree]],
    tasks: PyTree,
    key: Key[Array, ""],
    axis_name: str | None,
    *,
    carried: tuple[PyTree, ...] = (),
    stage: int | None = None,
    tasks_at_once: int | None = None,
) -> tuple[PyTree, PyTree]:
    """Call a function of one task for each task of a meta-step.

    Args:
      function: ``function(task, key, *carried) -> (averaged, kept)``, each task's own.
      tasks: those held here, on a leading axis.
      key: of the meta-step; task ``i`` of the whole step gets the ``i``-th of
        :func:`~metajax.core.task_keys`, whichever way the step is split over devices.
      axis_name: the mapped device axis that the tasks are split over, or None.
      carried: what each task has from an earlier call, on a leading axis too.
      stage: a number of this call, where a meta-step goes over its tasks more than once and each
        time needs draws of its own: it is folded into the tasks' keys.
      tasks_at_once: so many tasks held here are worked on side by side, then the next, which
        bounds memory; None for all.

    Returns:
      ``(mean, kept)``: the mean of ``averaged`` over all tasks of the step, and ``kept`` of the
      tasks held here, on a leading axis.

    Raises:
      ConfigError: see :func:`check_tasks_at_once`.
    """
    check_tasks_at_once(tasks_at_once)
    keys = task_keys(key, _count(tasks), axis_name)
    if stage is not None:
        keys = jax.vmap(lambda key: jax.random.fold_in(key, stage))(keys)
    args = (tasks, keys, *carried)
    if tasks_at_once is None:
        averaged, kept = jax.vmap(function)(*args)
    else:
        averaged, kept = jax.lax.map(lambda one: function(*one), args, batch_size=tasks_at_once)
    return mean_over_devices(mean_over_tasks(averaged), axis_name), kept


def mean_over_parts(
    function: Callable[[PyTree, Key[Array, " tasks"]], PyTree],
    tasks: PyTree,
    key: Key[Array, ""],
    axis_name: str | None,
    *,
    tasks_at_once: int | None = None,
) -> PyTree:
    """Average a function of several tasks over a meta-step, as :func:`over_tasks` one of a task.

    Where the function differentiates the mean loss of its tasks, one gradient is alive for each
    part of ``tasks_at_once`` tasks, and not one for each task.

    Args:
      function: ``function(tasks, keys) -> means`` over the tasks that it is given.
      tasks: see :func:`over_tasks`; so are ``key`` and ``axis_name``.
      key: of the meta-step.
      axis_name: of the devices.
      tasks_at_once: how many of the tasks held here make a part, the last of which may be smaller;
        None for all.

    Returns:
      The mean over all tasks of the step.

    Raises:
      ConfigError: see :func:`check_tasks_at_once`.
    """
    check_tasks_at_once(tasks_at_once)
    num = _count(tasks)
    size = num if tasks_at_once is None else min(num, int(tasks_at_once))
    all_of_them = (tasks, task_keys(key, num, axis_name))
    if size == num:
        return mean_over_devices(function(*all_of_them), axis_name)
    parts, rest = divmod(num, size)
    whole = jax.tree.map(lambda x: x[: num - rest] if rest else x, all_of_them)
    split = jax.tree.map(lambda x: x.reshape(parts, size, *x.shape[1:]), whole)

    def add_part(total: PyTree, part: tuple[PyTree, PyTree]) -> tuple[PyTree, None]:
        return jax.tree.map(jnp.add, total, function(*part)), None

    like = jax.eval_shape(function, *jax.tree.map(lambda x: x[0], split))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    total, _ = jax.lax.scan(add_part, zeros, split)
    if rest:
        last = function(*jax.tree.map(lambda x: x[-rest:], all_of_them))
        mean = jax.tree.map(lambda t, m: (size * t + rest * m) / num, total, last)
    else:
        mean = jax.tree.map(lambda t: t / parts, total)
    return mean_over_devices(mean, axis_name)


def _count(tasks: PyTree) -> int:
    return jax.tree.leaves(tasks)[0].shape[0]
