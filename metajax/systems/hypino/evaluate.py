"""How good solutions are: on new random problems, and on the seven published benchmarks."""

from __future__ import annotations

import dataclasses
import functools
import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params
from metajax.systems.base import Method
from metajax.systems.hypino.benchmarking import EVAL_KEY, benchmarks
from metajax.systems.hypino.problem import Problem
from metajax.systems.hypino.tasks import ProblemTasks
from metajax.systems.scores import Evaluation, Interval, Row

VALID_TASKS = 128
"""New problems along the way, at most."""


class SolutionErrors(NamedTuple):
    """Errors of solutions of new random problems; see :func:`new_problems`.

    Attributes:
      relative: L2 error over the solution's L2 norm.
      constant: the same of the best constant, the solution's own mean.
      squared: mean squared error.
      zero: mean square of the solution, the error of 0.
    """

    relative: Float[np.ndarray, " problems"]
    constant: Float[np.ndarray, " problems"]
    squared: Float[np.ndarray, " problems"]
    zero: Float[np.ndarray, " problems"]


def new_problems(
    learner: MetaLearner, params: Params, tasks: ProblemTasks, num: int
) -> SolutionErrors:
    """Solve ``num`` new random problems with a known solution, by one pass each.

    Errors over the interior points. Problems out of the limits are left out.

    Args:
      learner: of a method.
      params: its parameters.
      tasks: what the problems are drawn from, with a known solution, always the same ones.
      num: how many are drawn.

    Returns:
      The errors of those problems that were scored.
    """
    keys = jax.random.split(jax.random.key(EVAL_KEY), num)
    *found, valid = map(np.asarray, _errors(learner, params, tasks, keys))
    return SolutionErrors(*(values[valid] for values in found))


@functools.partial(jax.jit, static_argnames="learner")
def _errors(
    learner: MetaLearner, params: Params, tasks: ProblemTasks, keys: Key[Array, " num"]
) -> tuple[Array, ...]:
    """The errors of all problems, and which are within the limits."""

    def one(key: Key[Array, ""]) -> tuple[Array, ...]:
        task = tasks(key)
        adapted = learner.adapt(params, task.support, key)
        found = learner.predict(params, adapted, task.query.points.interior).u
        true = task.query.solution.u
        squared, zero = jnp.mean((found - true) ** 2), jnp.mean(true**2)
        relative, constant = jnp.sqrt(squared / zero), jnp.sqrt(jnp.var(true) / zero)
        return relative, constant, squared, zero, task.query.valid

    return jax.lax.map(one, keys, batch_size=16)


def median(values: Float[np.ndarray, " problems"]) -> Interval:
    """Return the median with its bootstrap 95% interval, NaN where one value is not finite."""
    import scipy.stats  # takes half a second, which no other command should wait for

    num = int(values.size)
    if not np.isfinite(values).all():
        return Interval([np.nan], [np.nan], [np.nan], num)
    found = scipy.stats.bootstrap(
        (values,), np.median, method="percentile", n_resamples=2000, rng=0
    ).confidence_interval
    return Interval([float(np.median(values))], [float(found.low)], [float(found.high)], num)


def errors(problem: Problem, method: Method, params: Params, num: int) -> SolutionErrors:
    """Return a method's errors on new problems as published, without those that are 0 on the edge.

    Args:
      problem: the family's.
      method: one that has a learner.
      params: its parameters.
      num: problems that are drawn.
    """
    assert method.learner is not None
    tasks = dataclasses.replace(problem.example_tasks, homogeneous=jnp.float32(0.0))
    return new_problems(method.learner, params, tasks, num)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Score one pass on new problems compared with the best constant, and all on the benchmarks."""
    found = errors(problem, method, params, problem.settings.eval_tasks)

    def say(name: str) -> None:
        print(f"benchmark {name}", file=sys.stderr)

    return Evaluation(
        metric="median relative error",
        greatest=False,
        axis="passes",
        points=[1],
        rows={
            "new_problems": Row("new problems", median(found.relative)),
            "best_constant": Row("best constant", median(found.constant), baseline=True),
        },
        setting="linear PDEs with known solutions",
        more={
            "mse": float(found.squared.mean()),
            "zero_mse": float(found.zero.mean()),
            "benchmarks": benchmarks(problem, method, params, say if progress else None),
        },
    )


def on_new_problems(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Score a method along training: the median relative error of new problems."""
    num = min(problem.settings.eval_tasks, VALID_TASKS)
    return median(errors(problem, method, params, num).relative).last()
