"""Random search: the rival that takes no gradient of hyperparameters at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.bilevel.batches import full_batches
from metajax.bilevel.online_tuning import Batches, OnlineParams
from metajax.bilevel.steps import advance, at
from metajax.bilevel.types import InnerProblem
from metajax.core import (
    Algorithm,
    ConfigError,
    check_tasks_at_once,
    over_tasks,
    wide_dtype,
)

WORST = float(jnp.finfo(jnp.float32).max)


class SearchState(NamedTuple):
    """The best hyperparameters so far, and those on trial.

    Attributes:
      best: the best trial's, with the shared start that it ended with.
      best_score: their mean outer loss over the later half of their trial.
      trial: on trial, the start as Reptile has moved it so far.
      score: the sum of the trial's outer losses in its later half.
      done: meta-steps done.
    """

    best: OnlineParams
    best_score: Float[Array, ""]
    trial: OnlineParams
    score: Float[Array, ""]
    done: Int32[Array, ""]


def random_search(
    problem: InnerProblem,
    *,
    init: Callable[[Key[Array, ""], Any], OnlineParams],
    inner_batches: Batches = full_batches,
    outer_batches: Batches = full_batches,
    inner_steps: int,
    trial_steps: int,
    reptile_rate: float | Float[Array, ""] = 0.0,
    tasks_at_once: int | None = None,
) -> Algorithm:
    """Draw hyperparameters, try each draw for ``trial_steps`` meta-steps, keep the best.

    A meta-step is one inner optimization of every task with the hyperparameters held still, and
    Reptile's move of the shared start, as in :func:`metajax.bilevel.online`, whose arguments of the
    same names these are. A trial is judged by its mean outer loss at the end of the inner
    optimizations of its later half, on the tasks it met; a loss that is not finite counts as the
    worst. Until the first trial has ended, ``params`` are that trial's.

    It is the baseline for anything cleverer, at equal compute: a meta-step costs an inner
    optimization and nothing for hypergradients, so it may have several times as many of them.
    Source: Bergstra and Bengio 2012, JMLR 13.

    Args:
      problem: the inner problem.
      init: makes start and hyperparameters: a draw, with each key another.
      inner_batches: makes the inner steps' batches of a task's support.
      outer_batches: makes the outer loss's batch of a task's query.
      inner_steps: of a meta-step.
      trial_steps: meta-steps of a trial.
      reptile_rate: of the move of the shared start; 0 leaves it where it is.
      tasks_at_once: tasks worked on at once, to bound memory; None for all.

    Returns:
      The algorithm; its ``params`` are an :class:`OnlineParams`, those of the best trial.

    Raises:
      ConfigError: sizes below 1, or no ``problem.params``.
    """
    for name, size in (("inner_steps", inner_steps), ("trial_steps", trial_steps)):
        if size < 1:
            raise ConfigError(name, size, "1 or more")
    if problem.params is None:
        raise ConfigError("problem.params", None, "params(state)")
    check_tasks_at_once(tasks_at_once)
    params_of = problem.params

    def first(key: Key[Array, ""], task: Any) -> SearchState:
        trial = init(key, task)
        worst, none = (jnp.asarray(x, wide_dtype(trial)) for x in (WORST, 0))
        return SearchState(trial, worst, trial, none, jnp.int32(0))

    def update(state: SearchState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None):
        hparams, start = state.trial

        def of_task(task, key):
            inner_key, outer_key = jax.random.split(key)
            batches = inner_batches(task.support, inner_key, inner_steps)
            last = advance(problem, hparams, problem.init(hparams, start), batches)
            outer = at(outer_batches(task.query, outer_key, 1), 0)
            return (problem.outer_loss(last, hparams, outer), params_of(last)), ()

        (loss, end), _ = over_tasks(
            of_task, tasks, key, axis_name, stage=0, tasks_at_once=tasks_at_once
        )
        loss = loss.astype(state.score.dtype)
        good = jnp.isfinite(loss)

        def moved(start, end):
            there = start + jnp.asarray(reptile_rate, start.dtype) * (end - start)
            return jnp.where(jnp.isfinite(end), there, start)

        start = jax.tree.map(moved, start, end)
        tried = state.done % trial_steps + 1
        later = trial_steps - trial_steps // 2
        counts = tried > trial_steps - later
        share = jnp.where(good, loss / later, WORST)
        score = jnp.minimum(state.score + jnp.where(counts, share, 0), WORST)
        trial = OnlineParams(hparams, start)
        over = tried == trial_steps
        better = over & (score < state.best_score)
        # the first trial stands in for a best until it has been judged
        shown = better | (state.done < trial_steps)
        task = jax.tree.map(lambda leaf: leaf[0], tasks)
        fresh = init(jax.random.fold_in(key, 1), task)

        def choose(which, a, b):
            return jax.tree.map(lambda x, y: jnp.where(which, x, y), a, b)

        new = SearchState(
            best=choose(shown, trial, state.best),
            best_score=jnp.where(better, score, state.best_score),
            trial=choose(over, fresh, trial),
            score=jnp.where(over, 0, score),
            done=state.done + 1,
        )
        metrics = {"loss": jnp.where(good, loss, WORST), "best_score": new.best_score}
        return new, metrics

    return Algorithm(first, update, lambda state: state.best)
