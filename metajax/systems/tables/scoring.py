"""Learners on new tables: their log loss, by rows to learn from."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from metajax.core import MetaLearner, Params, Task
from metajax.data import MISSING, TableTasks


def first_rows(task: Task, rows: Int[Array, ""]) -> Task:
    """Return the same table with the first rows of its support, and queries of their classes."""
    targets = task.support.targets
    kept = jnp.where(jnp.arange(targets.shape[0]) < rows, targets, MISSING)
    query = task.query.targets
    seen = jnp.any(query[:, None] == kept[None], axis=1)
    return Task(
        task.support._replace(targets=kept),
        task.query._replace(targets=jnp.where(seen, query, MISSING)),
    )


@functools.partial(jax.jit, static_argnames=("learner", "num"))
def losses(
    learner: MetaLearner,
    params: Params,
    tasks: TableTasks,
    rows: Int[Array, " points"],
    key: Key[Array, ""],
    num: int,
) -> Float[Array, "num points"]:
    """Return a learner's log loss on ``num`` new tables, after each number of rows."""

    def one(pair):
        key, rows = pair
        task_key, adapt_key = jax.random.split(key)
        return learner.loss(params, first_rows(tasks(task_key), rows), adapt_key)[0]

    keys = jnp.repeat(jax.random.split(key, num), rows.shape[0])
    found = jax.lax.map(one, (keys, jnp.tile(rows, num)), batch_size=8)
    return found.reshape(num, -1)
