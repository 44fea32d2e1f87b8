"""What the beds are judged by: the score on new tasks along their inner optimisation."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.bilevel import OnlineParams
from metajax.bilevel.steps import advance
from metajax.core import TaskDistribution
from metajax.systems.hyperdistill.config import Config
from metajax.systems.hyperdistill.learner import Bed


def steps_between_scores(config: Config) -> int:
    """Inner steps between scores: 1 on sinusoids, a tenth of all or more on image beds."""
    if config.bed == "sinusoid":
        return 1
    return next(
        n
        for n in range(1, config.inner_steps + 1)
        if config.inner_steps % n == 0 and config.inner_steps // n <= 10
    )


@functools.partial(jax.jit, static_argnames=("bed", "num", "inner_steps", "every"))
def scores_by_step(
    bed: Bed,
    params: OnlineParams,
    tasks: TaskDistribution,
    key: Key[Array, ""],
    num: int,
    inner_steps: int,
    every: int,
) -> Float[Array, "num scores"]:
    """Fit ``num`` new tasks from the shared start; score each at once and after ``every`` steps."""
    hparams, start = params

    def one(key):
        task_key, batch_key = jax.random.split(key)
        task = tasks(task_key)

        def stretch(state, index):
            score = bed.score(state, hparams, task.query)
            batches = bed.inner_batches(task.support, jax.random.fold_in(batch_key, index), every)
            return advance(bed.problem, hparams, state, batches), score

        state, scores = jax.lax.scan(
            stretch, bed.problem.init(hparams, start), jnp.arange(inner_steps // every)
        )
        return jnp.append(scores, bed.score(state, hparams, task.query))

    keys = jax.random.split(key, num)
    size = 1 if every > 1 and jax.default_backend() == "cpu" else min(num, 100)
    return jax.lax.map(one, keys, batch_size=size)


def summarise(scores: Float[Array, "num scores"], every: int) -> dict[str, Any]:
    """Mean score after each stretch with its 95% interval over tasks, and the last median."""
    values = np.asarray(scores, float)
    num = values.shape[0]
    ci95 = 1.96 * values.std(axis=0, ddof=1) / np.sqrt(num)
    return {
        "steps": (every * np.arange(values.shape[1])).tolist(),
        "score": values.mean(axis=0).tolist(),
        "ci95": ci95.tolist(),
        "last": float(values[:, -1].mean()),
        "last_ci95": float(ci95[-1]),
        "last_median": float(np.median(values[:, -1])),
        "n": num,
    }
