"""Hyperparameters that learn while the inner optimizations run, as an algorithm for the loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.bilevel.batches import full_batches
from metajax.bilevel.checks import check_problem
from metajax.bilevel.steps import advance, advance_following, at, check_num_steps, loss_or_nan
from metajax.bilevel.types import Hypergradient, InnerProblem
from metajax.core import (
    Algorithm,
    ConfigError,
    MetaLearner,
    Params,
    check_tasks_at_once,
    mean_over_devices,
    mean_over_tasks,
    norm,
    optimizer_step,
    over_tasks,
    prepare_optimizer,
)

Batches = Callable[[PyTree, Key[Array, ""], int], PyTree]
"""``batches(examples, key, num)``: ``num`` batches of the examples, on a leading axis."""


class OnlineParams(NamedTuple):
    """What meta-training finds.

    Attributes:
      hparams: the hyperparameters.
      start: what every task's inner optimization starts from.
    """

    hparams: PyTree
    start: Params


class OnlineState(NamedTuple):
    """What is carried from one inner optimization to the next.

    Attributes:
      params: hyperparameters and shared start.
      opt_state: of the hyperparameters' optimizer.
      calibration: what the estimator has been calibrated to (HyperDistill's theta).
      done: inner optimizations done, one a meta-step.
    """

    params: OnlineParams
    opt_state: PyTree
    calibration: PyTree
    done: Int32[Array, ""]


def online(
    estimator: Hypergradient,
    problem: InnerProblem,
    optimizer: optax.GradientTransformation,
    *,
    init: Callable[[Key[Array, ""], Any], OnlineParams],
    inner_batches: Batches = full_batches,
    outer_batches: Batches = full_batches,
    inner_steps: int,
    every: int = 1,
    reptile_rate: float | Float[Array, ""] = 0.0,
    calibrate_every: int | None = 1,
    tasks_at_once: int | None = None,
) -> Algorithm:
    """Learn hyperparameters online: one meta-step is one inner optimization of every task.

    All tasks of the step run their ``inner_steps`` from the shared start at once. After every
    ``every`` of these the estimator's hypergradients, averaged over tasks (and devices), update the
    hyperparameters, and the inner optimizations continue with the new ones. At the end the shared
    start moves toward the mean of the tasks' last parameters by Reptile. ``every=inner_steps`` is
    the offline form: one update from the whole horizon.

    Args:
      estimator: from :func:`metajax.bilevel.hypergradient`.
      problem: the inner optimization; its ``params`` where ``reptile_rate`` is not 0.
      optimizer: of the hyperparameters; its schedule counts hyperparameter updates,
        ``inner_steps / every`` a meta-step.
      init: ``init(key, task) -> OnlineParams``.
      inner_batches: ``inner_batches(task.support, key, num) -> batches`` of ``num`` inner steps;
        the whole support each step by default. See :func:`~metajax.bilevel.minibatches`.
      outer_batches: the same from ``task.query``, one batch for each hyperparameter update.
      inner_steps: T.
      every: inner steps between hyperparameter updates; divides T.
      reptile_rate: share of the way from the shared start to the tasks' mean result; 0 leaves the
        start as it is. May be traced.
      calibrate_every: meta-steps between calibrations of an estimator that has one, the first
        meta-step included; None leaves it as the estimator was made. What was found for the
        first weights can be far off for later ones: where a step is cheap, calibrate at each.
      tasks_at_once: tasks worked off side by side, the others wait their turn, which bounds memory;
        None for all. With weights of its own for each task, 1 can be the fastest on CPU.

    Metrics: ``loss``, the outer loss at the end of the inner optimizations, or NaN where their
    result is not finite (a loss alone can hide that); ``loss_mean``, its mean over the
    hyperparameter updates; ``grad_norm``, the norm of the last averaged hypergradient;
    ``calibration`` where there is one; and what the estimator reports of the last windows, by the
    names of its ``info``, averaged. Source: Lee et al. 2022, arXiv 2110.02508, Algorithm 3;
    Reptile: Nichol et al. 2018, arXiv 1803.02999.

    Returns:
      The algorithm; its ``params`` are an :class:`OnlineParams`, which :func:`inner_learner` uses.

    Raises:
      ConfigError: sizes that do not fit, or what
        :func:`~metajax.bilevel.checks.check_problem` rejects, when the first state is made.
    """
    if inner_steps < 1:
        raise ConfigError("inner_steps", inner_steps, "1 or more")
    if every < 1 or inner_steps % every:
        raise ConfigError("every", every, f"a divisor of inner_steps = {inner_steps}")
    if calibrate_every is not None and calibrate_every < 1:
        raise ConfigError("calibrate_every", calibrate_every, "1 or more, or None")
    check_tasks_at_once(tasks_at_once)
    moves_start = isinstance(reptile_rate, jax.Array) or reptile_rate != 0
    if moves_start and problem.params is None:
        raise ConfigError("problem.params", None, "params(state) where reptile_rate is not 0")
    windows = inner_steps // every

    rule = prepare_optimizer(optimizer, has_function=False)

    def first(key: Key[Array, ""], task: Any) -> OnlineState:
        params = init(key, task)
        check_problem(
            problem,
            params.hparams,
            params.start,
            inner_batches(task.support, key, inner_steps),
            estimator,
        )
        return OnlineState(
            params,
            rule.init(params.hparams),
            jax.tree.map(jnp.asarray, estimator.calibration),
            jnp.int32(0),
        )

    def calibrated(state: OnlineState, over: Callable, axis_name: str | None) -> PyTree:
        """The calibration for this meta-step: found again where its turn has come."""
        calibrate = estimator.calibrate
        if calibrate is None or calibrate_every is None:
            return state.calibration
        hparams, start = state.params

        def of_task(task, key):
            batch_key, outer_key, key = jax.random.split(key, 3)
            batches = inner_batches(task.support, batch_key, inner_steps)
            first_state = problem.init(hparams, start)
            outer = at(outer_batches(task.query, outer_key, 1), 0)
            known = state.calibration
            return (), calibrate(problem, hparams, first_state, batches, outer, key, known)

        def anew():
            return mean_over_tasks(over(of_task, stage=0)[1])

        due = state.done % calibrate_every == 0
        value = jax.lax.cond(due, anew, lambda: state.calibration)
        return mean_over_devices(value, axis_name)

    def update(state: OnlineState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None):
        over = functools.partial(
            over_tasks, tasks=tasks, key=key, axis_name=axis_name, tasks_at_once=tasks_at_once
        )
        calibration = calibrated(state, over, axis_name)
        hparams, start = state.params

        def begin(task, key):
            batch = at(inner_batches(task.support, key, 1), 0)
            return (), estimator.init(problem, hparams, start, batch, key, calibration)

        _, (memories, states) = over(begin, stage=1)

        def window(carry, index):
            hparams, opt_state, memories, states = carry

            def of_task(task, key, memory, inner):
                batch_key, outer_key, key = jax.random.split(jax.random.fold_in(key, index), 3)
                batches = inner_batches(task.support, batch_key, every)
                outer = at(outer_batches(task.query, outer_key, 1), 0)
                found = estimator.update(problem, memory, hparams, inner, batches, outer, key)
                means = (found.hypergradient, found.outer_loss, found.info)
                return means, (found.memory, found.state)

            means, (memories, states) = over(of_task, stage=2, carried=(memories, states))
            grads, loss, info = means
            hparams, opt_state = optimizer_step(rule, hparams, opt_state, grads, value=loss)
            return (hparams, opt_state, memories, states), (loss, norm(grads), info)

        carry = (hparams, state.opt_state, memories, states)
        (hparams, opt_state, _, states), (losses, norms, infos) = jax.lax.scan(
            window, carry, jnp.arange(windows)
        )
        if moves_start:
            assert problem.params is not None
            ends = mean_over_devices(mean_over_tasks(problem.params(states)), axis_name)
            start = jax.tree.map(
                lambda s, e: s + jnp.asarray(reptile_rate, s.dtype) * (e - s), start, ends
            )
        params = OnlineParams(hparams, start)
        metrics = {
            "loss": loss_or_nan(losses[-1], params),
            "loss_mean": jnp.mean(losses),
            "grad_norm": norms[-1],
            **{name: values[-1] for name, values in infos.items()},
        }
        if estimator.calibrate is not None:
            metrics["calibration"] = calibration
        return OnlineState(params, opt_state, calibration, state.done + 1), metrics

    return Algorithm(first, update, lambda state: state.params)


def inner_learner(
    problem: InnerProblem,
    predict: Callable[[PyTree, PyTree, Any], Any],
    *,
    init: Callable[[Key[Array, ""], Any], OnlineParams],
    inner_batches: Batches = full_batches,
    inner_steps: int,
) -> MetaLearner:
    """Make the learner that runs the inner optimization with hyperparameters held still.

    It is how what :func:`online` has found is used and scored on new tasks; under
    :func:`metajax.core.gradient` its loss is differentiated through all inner steps. What it
    adapts, and ``follow`` notes, is the inner state.

    Args:
      problem: the inner optimization.
      predict: ``predict(state, hparams, inputs) -> outputs`` from the last inner state.
      init: ``init(key, task) -> OnlineParams``.
      inner_batches: as for :func:`online`.
      inner_steps: how many inner steps adapting takes.

    Returns:
      The learner, whose meta-parameters are an :class:`OnlineParams`.

    Raises:
      ConfigError: ``inner_steps`` below 1, or what :func:`~metajax.bilevel.checks.check_problem`
        rejects.
    """

    def adapt(params: OnlineParams, support: Any, key: Key[Array, ""]) -> PyTree:
        state = problem.init(params.hparams, params.start)
        return advance(problem, params.hparams, state, inner_batches(support, key, inner_steps))

    def follow(
        params: OnlineParams,
        support: Any,
        key: Key[Array, ""],
        num_steps: int,
        note: Callable[[PyTree], PyTree],
    ) -> tuple[PyTree, PyTree]:
        check_num_steps(num_steps)
        state = problem.init(params.hparams, params.start)
        batches = inner_batches(support, key, num_steps)
        return advance_following(problem, params.hparams, state, batches, note)

    def loss(params: OnlineParams, task: Any, key: Key[Array, ""]):
        return problem.outer_loss(adapt(params, task.support, key), params.hparams, task.query), {}

    def answer(params: OnlineParams, state: PyTree, inputs: Any) -> Any:
        return predict(state, params.hparams, inputs)

    return MetaLearner(init, adapt, answer, loss, follow)
