"""What a learner of tables is judged by: the log loss on new tables, by rows to learn from."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Params, count
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Interval, Row, interval
from metajax.systems.setup import first_params
from metajax.systems.tables.methods import BASELINES
from metajax.systems.tables.problem import Problem
from metajax.systems.tables.scoring import losses
from metajax.systems.training import Training

EVAL_KEY = 2112_10510
"""Seed of the tables that are evaluated on: the same for every run."""
VALID_TASKS = 50
"""New tables along the way, at most."""
TITLES = {
    "first_drawn": "weights as first drawn, same tables",
    "logistic_regression": "logistic regression, same tables",
    "frequencies": "class frequencies, same tables",
}


def score(problem: Problem, method: Method, params: Params, num: int) -> Interval:
    """Return a method's scores on the tables that all methods are evaluated on."""
    assert method.learner is not None
    rows = jnp.asarray(problem.settings.eval_rows, jnp.int32)
    key = jax.random.key(EVAL_KEY)
    return interval(losses(method.learner, params, problem.new, rows, key, num))


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score a trained method on new tables, and baselines on the same.

    A trained method's own first weights are among the baselines.
    """
    num = problem.settings.eval_tasks
    rows = {"new_tasks": Row("new tables", score(problem, method, params, num))}
    if method.algorithm is not None:
        found = score(problem, method, first_params(method, problem.new, config), num)
        rows["first_drawn"] = Row(TITLES["first_drawn"], found, baseline=True)
    for name, baseline in BASELINES.items():
        if name != config.method:
            found = score(problem, baseline(problem, Training()), {}, num)
            rows[name] = Row(TITLES[name], found, baseline=True)
    return Evaluation(
        metric="log loss",
        greatest=False,
        axis="rows",
        points=[float(number) for number in problem.settings.eval_rows],
        rows=rows,
        setting=f"up to {problem.settings.classes} classes",
        more={"parameters": count(params)},
    )


def on_new_tables(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training: its log loss after the largest number of rows."""
    return score(problem, method, params, min(problem.settings.eval_tasks, VALID_TASKS)).last()
