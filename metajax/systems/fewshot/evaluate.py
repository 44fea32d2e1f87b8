"""What a few-shot learner is judged by: its score on new tasks, by step where it takes steps."""

from __future__ import annotations

import functools
from typing import Any

import jax
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params, TaskDistribution
from metajax.learners import adaptation_curve, prototypical
from metajax.learners.losses import Loss
from metajax.systems.base import Method
from metajax.systems.fewshot.problem import Problem
from metajax.systems.parts import PIXELS, score_name
from metajax.systems.scores import Evaluation, Interval, Row, interval
from metajax.systems.setup import first_params

EVAL_KEY = 1703_03400
"""Seed of the tasks that are evaluated on: the same for every run."""
VALID_TASKS = 200
"""New tasks along the way, at most."""


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

    Args:
      learner: that adapts.
      loss: of the queries, where ``metric`` is the loss.
      params: meta-trained.
      tasks: to draw from.
      key: of the draws.
      num: tasks.
      metric: what is scored.
      steps: gradient steps, or None.

    Returns:
      One score for each task and number of steps.
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


def score(problem: Problem, method: Method, params: Params, tasks: Any, num: int) -> Interval:
    """Return the score of a method on ``num`` tasks, always the same, with intervals over them."""
    key, learner = jax.random.key(EVAL_KEY), method.learner
    if method.measure is not None:
        return interval(method.measure(params, tasks, key, num))
    assert learner is not None
    steps = None if learner.follow is None else problem.settings.eval_steps
    return interval(scores(learner, problem.loss, params, tasks, key, num, problem.metric, steps))


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method on new tasks, compared with its first weights.

    The other baseline, of images, is the class whose mean image is nearest; with one shot, 1-NN.
    """
    num = problem.settings.eval_tasks
    found = score(problem, method, params, problem.test, num)
    rows = {"new_tasks": Row("new tasks", found)}
    if problem.images:
        trained = score(problem, method, params, problem.tasks, num)
        rows["training_classes"] = Row("tasks of training classes", trained)
    if method.learner is not None:
        first = first_params(method, problem.test, config)
        drawn = score(problem, method, first, problem.test, num)
        rows["first_drawn"] = Row("new tasks, weights as first drawn", drawn, baseline=True)
    if problem.images:
        simple = Method(None, prototypical(PIXELS, ways=problem.settings.ways))
        nearest = score(problem, simple, {}, problem.test, num)
        rows["nearest_mean"] = Row("nearest mean image", nearest, baseline=True)
    return Evaluation(
        rows,
        metric=score_name(problem),
        greatest=problem.images,
        axis="gradient steps",
        points=range(len(found.mean)),
    )


def on_validation(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training: at the last step, on tasks of validation classes."""
    num = min(problem.settings.eval_tasks, VALID_TASKS)
    return score(problem, method, params, problem.valid, num).last()
