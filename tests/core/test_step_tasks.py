"""A function over a step's tasks: its keys, its means, what it keeps, some tasks at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import (
    ConfigError,
    check_tasks_at_once,
    mean_over_parts,
    over_tasks,
    task_keys,
)

KEY = jax.random.key(0)
TASKS = jnp.arange(12.0).reshape(6, 2)
CARRIED = jnp.arange(6) * 10


def of_task(task, key, carried):
    return {"sum": jnp.sum(task), "drawn": jax.random.uniform(key)}, (task[0], carried)


def keys_of(stage):
    """The keys of the tasks, one by one."""
    keys = [jax.random.fold_in(KEY, i) for i in range(6)]
    return keys if stage is None else [jax.random.fold_in(key, stage) for key in keys]


@pytest.mark.parametrize(("stage", "tasks_at_once"), [(None, None), (3, 1), (None, 4), (3, 9)])
def test_over_tasks_is_a_plain_loop(stage, tasks_at_once):
    mean, kept = over_tasks(
        of_task,
        TASKS,
        KEY,
        None,
        carried=(CARRIED,),
        stage=stage,
        tasks_at_once=tasks_at_once,
    )
    drawn = [jax.random.uniform(key) for key in keys_of(stage)]
    np.testing.assert_allclose(mean["drawn"], np.mean(drawn), rtol=1e-6)
    np.testing.assert_allclose(mean["sum"], np.mean(np.sum(TASKS, axis=1)), rtol=1e-6)
    np.testing.assert_array_equal(kept[0], TASKS[:, 0])
    np.testing.assert_array_equal(kept[1], CARRIED)


@pytest.mark.parametrize("tasks_at_once", [None, 1, 2, 4, 9])
def test_a_mean_over_parts_is_that_over_all(tasks_at_once):
    sizes = []

    def of_part(tasks, keys):
        sizes.append(len(tasks))
        return jnp.mean(jax.vmap(jax.random.uniform)(keys)), jnp.mean(tasks, axis=0)

    drawn, mean = mean_over_parts(of_part, TASKS, KEY, None, tasks_at_once=tasks_at_once)
    np.testing.assert_allclose(drawn, jnp.mean(jax.vmap(jax.random.uniform)(task_keys(KEY, 6))))
    np.testing.assert_allclose(mean, jnp.mean(TASKS, axis=0), rtol=1e-6)
    wanted = {None: {6}, 4: {4, 2}, 9: {6}}.get(tasks_at_once, {tasks_at_once})
    assert set(sizes) == wanted  # no part holds more than it may


@pytest.mark.parametrize("tasks_at_once", [None, 1, 2])
def test_tasks_split_over_devices_draw_and_average_as_one(tasks_at_once):
    def of_part(tasks, keys):
        return jnp.mean(jax.vmap(jax.random.uniform)(keys) * jnp.sum(tasks, axis=1))

    def on_device(tasks, carried):
        options = {"tasks_at_once": tasks_at_once}
        each = over_tasks(of_task, tasks, KEY, "d", carried=(carried,), **options)
        return each, mean_over_parts(of_part, tasks, KEY, "d", **options)

    split = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]), (TASKS, CARRIED))
    (mean, kept), of_parts = jax.vmap(on_device, axis_name="d")(*split)
    whole_mean, whole_kept = over_tasks(of_task, TASKS, KEY, None, carried=(CARRIED,))
    for found, wanted in zip(*map(jax.tree.leaves, (mean, whole_mean)), strict=True):
        np.testing.assert_allclose(found, [wanted] * 2, rtol=1e-6)
    for found, wanted in zip(kept, whole_kept, strict=True):
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
    np.testing.assert_allclose(
        of_parts, [mean_over_parts(of_part, TASKS, KEY, None)] * 2, rtol=1e-6
    )


@pytest.mark.parametrize("tasks_at_once", [0, -1, 2.5, "all"])
def test_no_tasks_at_once_are_rejected(tasks_at_once):
    for ask in (
        lambda: check_tasks_at_once(tasks_at_once),
        lambda: over_tasks(of_task, TASKS, KEY, None, tasks_at_once=tasks_at_once),
        lambda: mean_over_parts(of_task, TASKS, KEY, None, tasks_at_once=tasks_at_once),
    ):
        with pytest.raises(ConfigError, match=r"tasks_at_once = .* a whole number of 1 or more"):
            ask()
