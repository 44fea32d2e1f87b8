"""Hyperparameters that learn along one long inner optimization, as an algorithm for the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32, Key, PyTree

from metajax.bilevel.checks import check_problem, leaves_used
from metajax.bilevel.online_tuning import OnlineParams
from metajax.bilevel.steps import loss_or_nan, num_steps, params_of
from metajax.bilevel.types import Hypergradient, InnerProblem
from metajax.core import Algorithm, ConfigError, norm, optimizer_step, prepare_optimizer


class RunParams(NamedTuple):
    """What a run has reached.

    Attributes:
      hparams: the hyperparameters.
      params: what the inner optimization optimizes, e.g. a network's weights; its whole state
        where the problem has no ``params``.
    """

    hparams: PyTree
    params: PyTree


class RunState(NamedTuple):
    """What a run carries from window to window: all that it needs to continue.

    Attributes:
      hparams: the hyperparameters.
      opt_state: of their optimizer.
      inner: the state of the inner optimization.
      memory: what the estimator remembers (HyperDistill's w*, D*, theta).
      done: inner steps done.
    """

    hparams: PyTree
    opt_state: PyTree
    inner: PyTree
    memory: PyTree
    done: Int32[Array, ""]


def online_run(
    estimator: Hypergradient,
    problem: InnerProblem,
    optimizer: optax.GradientTransformation,
    *,
    init: Callable[[Key[Array, ""], Any], OnlineParams],
) -> Algorithm:
    """Tune hyperparameters along ONE long inner optimization: a meta-step is a window of it.

    A window runs as many inner steps as it is given tasks, in their order, then moves the
    hyperparameters by the estimator's hypergradient of the outer loss at its end. The next window
    starts from the state reached. Task ``i`` of a window is the data of its ``i``-th inner step:
    ``support`` is the inner batch; the outer loss is the mean over the ``query`` of ALL its tasks,
    so that no example is drawn for nothing. For ``fit``, ``tasks_per_step`` is thus the number of
    inner steps between hyperparameter updates, and the whole run has ``steps * tasks_per_step``.
    Its checkpoints hold the inner state and the estimator's memory: a resumed run is bit for bit
    the run never stopped. :func:`~metajax.bilevel.online` is for many short inner optimizations.

    Args:
      estimator: from :func:`metajax.bilevel.hypergradient`. Only one with a memory
        (``distilled``, ``forward``, ``pes``) sees beyond its window. A calibration (HyperDistill's
        theta) stays as the estimator was made with.
      problem: the inner optimization.
      optimizer: of the hyperparameters; its schedule counts windows.
      init: ``init(key, task) -> OnlineParams``, the first hyperparameters and what the run starts
        from.

    ``params(state)`` is a :class:`RunParams`. Metrics: ``loss``, the outer loss at the window's
    end, before the hyperparameters are updated, or NaN where the window's result is not finite (a
    loss alone can hide that); ``grad_norm``, the norm of the hypergradient; and what the estimator
    reports of its window, by the names of its ``info``.

    Returns:
      The algorithm; its ``params`` are the inner parameters and the hyperparameters.

    Raises:
      ConfigError: what :func:`~metajax.bilevel.checks.check_problem` rejects, or hyperparameters
        that set the initial state, when the first state is made; a mapped axis (``pmap``).
    """

    rule = prepare_optimizer(optimizer, has_function=False)

    def first(key: Key[Array, ""], task: Any) -> RunState:
        init_key, memory_key = jax.random.split(key)
        hparams, start = init(init_key, task)
        batches = jax.tree.map(lambda leaf: leaf[None], task.support)
        check_problem(problem, hparams, start, batches, estimator)
        if used := leaves_used(lambda hparams: problem.init(hparams, start), hparams):
            raise ConfigError(
                "hparams",
                ", ".join(used),
                "hyperparameters of the steps: these set the initial state, which a run makes "
                "only once; learn them over many runs, with online",
            )
        memory, inner = estimator.init(
            problem, hparams, start, task.support, memory_key, estimator.calibration
        )
        return RunState(hparams, rule.init(hparams), inner, memory, jnp.int32(0))

    def params(state: RunState) -> RunParams:
        return RunParams(state.hparams, params_of(problem, state.inner))

    def update(state: RunState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None):
        if axis_name is not None:
            raise ConfigError(
                "parallel",
                "jit or pmap",
                "none: the steps of one run are sequential, so devices cannot share them; devices "
                "can share the tasks of online",
            )
        steps = num_steps(tasks.support)

        def outer_loss(inner, hparams, queries):
            # a size is given because a loss that needs no data has no leaf to take it from
            each = jax.vmap(problem.outer_loss, (None, None, 0), axis_size=steps)
            return jnp.mean(each(inner, hparams, queries))

        found = estimator.update(
            problem._replace(outer_loss=outer_loss),
            state.memory,
            state.hparams,
            state.inner,
            tasks.support,
            tasks.query,
            key,
        )
        grads = found.hypergradient
        hparams, opt_state = optimizer_step(
            rule, state.hparams, state.opt_state, grads, value=found.outer_loss
        )
        new = RunState(hparams, opt_state, found.state, found.memory, state.done + steps)
        metrics = {
            "loss": loss_or_nan(found.outer_loss, params(new)),
            "grad_norm": norm(grads),
            **found.info,
        }
        return new, metrics

    return Algorithm(first, update, params)
