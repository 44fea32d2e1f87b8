"""What a method is judged by: the score on new tasks along their inner optimization."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.bilevel import OnlineParams
from metajax.bilevel.steps import advance
from metajax.core import Params, TaskDistribution
from metajax.systems.base import Method
from metajax.systems.hyperdistill.problem import Problem
from metajax.systems.hyperdistill.settings import Settings
from metajax.systems.hyperdistill.testbed import Testbed
from metajax.systems.parts import score_name
from metajax.systems.scores import Evaluation, Row, interval
from metajax.systems.setup import first_params

EVAL_KEY = 2110_02508
"""Seed of the tasks that are evaluated on: the same for every run."""
VALID_TASKS = {True: 50, False: 1000}
"""New tasks along the way, at most, by whether they are of images."""


def steps_between_scores(settings: Settings) -> int:
    """Return the inner steps between scores: 1 on sinusoids, a tenth of all or more on images."""
    if not settings.images:
        return 1
    return next(
        n
        for n in range(1, settings.inner_steps + 1)
        if settings.inner_steps % n == 0 and settings.inner_steps // n <= 10
    )


@functools.partial(jax.jit, static_argnames=("testbed", "num", "every"))
def scores_by_step(
    testbed: Testbed,
    params: OnlineParams,
    tasks: TaskDistribution,
    key: Key[Array, ""],
    num: int,
    every: int,
) -> Float[Array, "num scores"]:
    """Fit ``num`` new tasks from the shared start; score each at once and after ``every`` steps.

    Args:
      testbed: that is tuned.
      params: shared start and hyperparameters.
      tasks: to draw from.
      key: of the draws.
      num: tasks.
      every: inner steps from one score to the next.

    Returns:
      Scores of each task.
    """
    hparams, start = params

    def one(key):
        task_key, batch_key = jax.random.split(key)
        task = tasks(task_key)

        def stretch(state, index):
            score = testbed.score(state, hparams, task.query)
            at = jax.random.fold_in(batch_key, index)
            batches = testbed.inner_batches(task.support, at, every)
            return advance(testbed.inner, hparams, state, batches), score

        state, scores = jax.lax.scan(
            stretch, testbed.inner.init(hparams, start), jnp.arange(testbed.inner_steps // every)
        )
        return jnp.append(scores, testbed.score(state, hparams, task.query))

    keys = jax.random.split(key, num)
    size = 1 if every > 1 and jax.default_backend() == "cpu" else min(num, 100)
    return jax.lax.map(one, keys, batch_size=size)


def _scores(
    method: Method, params: Params, tasks: Any, num: int
) -> Float[np.ndarray, "num scores"]:
    assert method.measure is not None
    return np.asarray(method.measure(params, tasks, jax.random.key(EVAL_KEY), num), float)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method on new tasks, compared with its first weights."""
    of, first = problem.settings, first_params(method, problem.test, config)
    found = _scores(method, params, problem.test, of.eval_tasks)
    drawn = _scores(method, first, problem.test, of.eval_tasks)
    return Evaluation(
        metric=score_name(problem),
        greatest=problem.images,
        axis="inner steps",
        points=range(0, of.inner_steps + 1, steps_between_scores(of)),
        rows={
            "new_tasks": Row("new tasks", interval(found)),
            "first_drawn": Row("new tasks, weights as first drawn", interval(drawn), baseline=True),
        },
        more={
            "testbed": of.testbed,
            "base_set": of.base_set if problem.images else "",
            "last_median": {
                "new_tasks": float(np.median(found[:, -1])),
                "first_drawn": float(np.median(drawn[:, -1])),
            },
        },
    )


def on_validation(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training: at the last inner step, on tasks of validation classes."""
    num = min(problem.settings.eval_tasks, VALID_TASKS[problem.images])
    last = _scores(method, params, problem.valid, num)[:, -1]
    return {**interval(last).last(), "last_median": float(np.median(last))}
