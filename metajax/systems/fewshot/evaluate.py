"""What a few-shot learner is judged by: its score on new tasks, by step where it takes steps."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params, TaskDistribution
from metajax.learners import adaptation_curve
from metajax.learners.losses import Loss


@functools.partial(jax.jit, static_argnames=("learner", "loss", "metric", "num", "steps"))
def scores(
    learner: MetaLearner,
    loss: Loss,
    params: Params,
    tasks: TaskDistribution,
    key: Key[Array, ""],
    num: int,
    metric: str,
    steps: int | None,
) -> Float[Array, "num points"]:
    """Adapt to ``num`` new tasks and score their queries by ``metric``.

    After 0 to ``steps`` gradient steps; with ``steps`` None, once, of a learner that takes none.
    """

    def one(key):
        task_key, adapt_key = jax.random.split(key)
        task = tasks(task_key)
        if steps is None:
            return learner.loss(params, task, adapt_key)[1][metric][None]
        return adaptation_curve(learner, loss, params, task, adapt_key, steps)[metric]

    keys = jax.random.split(key, num)
    images = jax.tree.leaves(jax.eval_shape(tasks, key))[0].ndim > 2
    size = 1 if images and jax.default_backend() == "cpu" else min(num, 100)
    return jax.lax.map(one, keys, batch_size=size)


def summarise(values: Float[Array, "num points"]) -> dict[str, Any]:
    """Mean score at each point with its 95% interval over tasks."""
    array = np.asarray(values, float)
    num = array.shape[0]
    ci95 = 1.96 * array.std(axis=0, ddof=1) / np.sqrt(num)
    return {
        "score": array.mean(axis=0).tolist(),
        "ci95": ci95.tolist(),
        "last": float(array[:, -1].mean()),
        "last_ci95": float(ci95[-1]),
        "n": num,
    }
