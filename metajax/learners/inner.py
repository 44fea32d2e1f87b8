"""The one inner loop of all learners that adapt by gradient steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from metajax.bilevel import InnerProblem
from metajax.bilevel.online_tuning import Batches
from metajax.bilevel.steps import advance_following, advance_in_segments, check_num_steps
from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Metrics,
    Params,
    Task,
    as_task,
    checked_learner,
    follow_of,
    wide_dtype,
)
from metajax.learners.losses import Loss, loss_and_metrics
from metajax.learners.named import named_loss


def check_steps(steps: int, remat_every: int | None = None) -> None:
    """Reject numbers of inner steps that cannot be run."""
    if steps < 1:
        raise ConfigError("steps", steps, "1 inner step or more")
    if remat_every is not None and remat_every < 1:
        raise ConfigError("remat_every", remat_every, "1 inner step or more, or None")


def on_support(
    problem: InnerProblem, support: Any, key: Key[Array, ""], steps: int, batches: Batches | None
) -> tuple[InnerProblem, PyTree]:
    """Return the problem of ``steps`` steps on ``support``, and what a scan over them runs over.

    Without ``batches`` every step sees the whole support, which is not copied for each.
    """
    if batches is not None:
        return problem, batches(support, key, steps)
    inner_loss = problem.inner_loss
    assert inner_loss is not None  # descend gives it
    whole = problem._replace(
        update=lambda state, params, _: problem.update(state, params, support),
        inner_loss=lambda inner, params, _: inner_loss(inner, params, support),
    )
    return whole, jnp.arange(steps)


def gradient_learner(
    problem: InnerProblem,
    init: Callable[[Key[Array, ""], Any], Params],
    outputs: Callable[[Params, PyTree, Any], Any],
    loss: Loss,
    *,
    steps: int,
    batches: Batches | None = None,
    step_weights: Float[Array, " steps"] | None = None,
    remat_every: int | None = None,
    unroll: int = 5,
) -> MetaLearner:
    """Make the learner that runs an inner problem whose hyperparameters are the meta-parameters.

    :func:`maml`, :func:`meta_sgd`, :func:`cavia` and :func:`imaml` are made of it; call it for a
    learner of your own. Its ``adapt`` returns what the inner steps move, ``problem.params(state)``,
    after ``steps`` of them, and its ``follow`` after any number, with notes on the way.

    Args:
      problem: from :func:`metajax.bilevel.descend`; a batch is :class:`~metajax.core.Examples`, and
        ``init(params, params)`` is called for its first state.
      init: ``init(key, task) -> params``.
      outputs: ``outputs(params, adapted, inputs)``.
      loss: ``loss(outputs, targets) -> scalar``, of the query.
      steps: inner steps.
      batches: ``batches(support, key, num)`` makes the steps' batches, e.g.
        :func:`metajax.bilevel.minibatches`; None: every step sees the whole support.
      step_weights: weights of the query losses after each inner step, whose weighted sum is what
        meta-training descends (MAML++); None: the last alone. May be traced.
      remat_every: reverse mode keeps what every inner step computed, memory in proportion to
        ``steps``. With a number ``r`` it keeps the inner state before every ``r`` steps and
        computes these again when their turn comes: ``steps / r`` states and ``r`` steps' worth of
        intermediate values, least near the square root of ``steps``, for one more forward pass.
      unroll: inner steps written out in the body of the loop, where nothing is rematerialized; 1
        compiles faster and runs slower (on CPU by a fifth to a half).

    Returns:
      The learner.

    Raises:
      ConfigError: ``steps``, ``remat_every`` or ``unroll`` below 1, or not one weight a step.
    """
    check_steps(steps, remat_every)
    loss = named_loss(loss)
    if unroll < 1:
        raise ConfigError("unroll", unroll, "1 inner step or more")
    if step_weights is not None and np.shape(step_weights) != (steps,):
        raise ConfigError("step_weights", np.shape(step_weights), f"one weight a step, ({steps},)")
    adapted_of = problem.params
    assert adapted_of is not None  # descend gives it

    def run(problem: InnerProblem, params: Params, state: PyTree, parts: PyTree) -> PyTree:
        if remat_every is None:

            def step(state, part):
                return (problem.update(state, params, part), None)

            return jax.lax.scan(step, state, parts, unroll=unroll)[0]
        return advance_in_segments(problem, params, state, parts, remat_every)

    def adapt(params: Params, support: Examples, key: Key[Array, ""]) -> PyTree:
        here, parts = on_support(problem, support, key, steps, batches)
        return adapted_of(run(here, params, here.init(params, params), parts))

    def follow(
        params: Params,
        support: Examples,
        key: Key[Array, ""],
        num_steps: int,
        note: Callable[[PyTree], PyTree],
    ) -> tuple[PyTree, PyTree]:
        check_num_steps(num_steps)
        here, parts = on_support(problem, support, key, num_steps, batches)

        def of_state(state):
            return note(adapted_of(state))

        state = here.init(params, params)
        state, notes = advance_following(here, params, state, parts, of_state)
        return adapted_of(state), notes

    def every_step(params: Params, task: Task, key: Key[Array, ""], weights: Array):
        """The weighted sum of the query losses after each step, and what is adapted at the end."""
        here, parts = on_support(problem, task.support, key, steps, batches)

        def update(carry, params, part):
            (state, total), (part, weight) = carry, part
            state = here.update(state, params, part)
            found = loss(outputs(params, adapted_of(state), task.query.inputs), task.query.targets)
            return state, total + weight * found.astype(weight.dtype)

        summed = here._replace(update=update)
        first = (here.init(params, params), jnp.zeros_like(weights[0]))
        state, total = run(summed, params, first, (parts, weights))
        return adapted_of(state), total

    def query_loss(params: Params, task: Task, key: Key[Array, ""]):
        if step_weights is None:
            adapted, total = adapt(params, task.support, key), None
        else:
            # as precise as the losses that they are multiplied with
            weights = jnp.asarray(step_weights, wide_dtype(params))
            adapted, total = every_step(params, task, key, weights)
        found = outputs(params, adapted, task.query.inputs)
        value, metrics = loss_and_metrics(loss, found, task.query.targets)
        return (value if total is None else total), metrics

    return checked_learner(MetaLearner(init, adapt, outputs, query_loss, follow))


def adaptation_curve(
    learner: MetaLearner, loss: Loss, params: Params, task: Task, key: Key[Array, ""], steps: int
) -> Metrics:
    """Score one task's query after 0 to ``steps`` inner steps, even more than in training.

    Returns ``query_loss`` and, with integer targets, ``accuracy``, each ``[steps + 1]``. Map it
    over tasks with ``jax.vmap``.

    Args:
      learner: one with a ``follow``, such as those of :func:`gradient_learner`.
      loss: ``loss(outputs, targets) -> scalar``.
      params: meta-parameters.
      task: whose support is adapted to.
      key: for inner minibatches.
      steps: how far to follow the adaptation.

    Returns:
      Scores by name, ``[steps + 1]`` each.

    Raises:
      ConfigError: ``steps`` below 1, a learner without ``follow``, or a task that is none.

    Examples:
      >>> import jax
      >>> import optax
      >>> from metajax.data import sinusoid_tasks
      >>> from metajax.learners import adaptation_curve, maml, mean_squared_error
      >>> from metajax.nn import mlp
      >>> task = sinusoid_tasks(10, 10)(jax.random.key(0))
      >>> learner = maml(mlp([8], 1), mean_squared_error, optax.sgd(0.05), steps=1)
      >>> params = learner.init(jax.random.key(1), task)
      >>> key = jax.random.key(2)
      >>> curve = adaptation_curve(learner, mean_squared_error, params, task, key, steps=5)
      >>> curve["query_loss"].shape
      (6,)
    """
    check_steps(steps)
    follow = follow_of(learner)
    task = as_task(task)

    def note(adapted: PyTree) -> Metrics:
        outputs = learner.predict(params, adapted, task.query.inputs)
        return loss_and_metrics(loss, outputs, task.query.targets)[1]

    return follow(params, task.support, key, steps, note)[1]
