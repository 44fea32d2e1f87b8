"""Reptile: the start moves toward where the tasks' own optimizations end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jaxtyping import Array, Key, PyTree

from metajax.bilevel import InnerState, descend
from metajax.bilevel.online_tuning import Batches
from metajax.bilevel.steps import advance, at, floats, others, with_leaves
from metajax.core import (
    Algorithm,
    Examples,
    Network,
    Params,
    Task,
    check_optimizer,
    check_tasks_at_once,
    checked_network,
    first_task,
    norm,
    optimizer_step,
    over_tasks,
    prepare_optimizer,
)
from metajax.learners.inner import check_steps, on_support
from metajax.learners.losses import Loss, loss_and_metrics
from metajax.learners.named import named_loss


class ReptileState(NamedTuple):
    """State of :func:`reptile`.

    Attributes:
      params: the shared start.
      opt_state: of the outer optimizer.
      inner_opt_state: what every task's inner optimizer starts from.
    """

    params: Params
    opt_state: PyTree
    inner_opt_state: PyTree


def reptile(
    network: Network,
    loss: Loss,
    inner_optimizer: optax.GradientTransformation,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    batches: Batches | None = None,
    examples: Callable[[Task], Examples] = lambda task: task.support,
    keep_inner_state: bool = False,
    tasks_at_once: int | None = None,
) -> Algorithm:
    """Meta-train by ``theta - mean_i phi_i`` in place of a gradient, in batches of tasks.

    ``phi_i`` is where ``steps`` inner steps from ``theta`` take task ``i``; nothing is
    differentiated through them. Adapt with :func:`metajax.learners.maml` of the same network.
    (Nichol et al. 2018, arXiv 1803.02999, Algorithm 2.)

    Args:
      network: any ``Network(init, apply)``.
      loss: ``loss(outputs, targets) -> scalar``.
      inner_optimizer: the paper's is ``optax.adam(1e-3, b1=0.0)``.
      optimizer: ``optax.sgd(rate)`` moves the start by ``rate`` of the way to the tasks' mean, and
        ``optax.sgd(optax.linear_schedule(1.0, 0.0, meta_steps))`` as the paper does; others, with
        momentum for one, take the difference for a gradient.
      steps: inner steps, 2 or more: with 1 it is the joint training of all tasks.
      batches: ``batches(examples, key, num)`` makes the steps' batches, e.g.
        :func:`metajax.bilevel.minibatches`; None: every step sees all examples.
      examples: ``examples(task)``, what is learned from: the support by default.
      keep_inner_state: the inner optimizer continues from its last state, averaged over the tasks,
        as in the authors' code, where Adam's moments are kept; otherwise it starts from scratch.
      tasks_at_once: tasks worked on side by side, the others wait their turn; None for all.

    Metrics: ``loss``, of the query after the inner steps (where ``examples`` leave it out, of
    unseen examples), ``accuracy`` with integer targets, and ``grad_norm``, the size of the
    difference.

    Returns:
      The algorithm.

    Raises:
      ConfigError: ``steps`` or ``tasks_at_once`` below 1.
    """
    check_steps(steps)
    check_tasks_at_once(tasks_at_once)
    network, loss = checked_network(network), named_loss(loss)
    check_optimizer(inner_optimizer, "inner_optimizer")
    check_optimizer(optimizer)

    def examples_loss(params: Params, _: Any, examples: Examples):
        return loss(network.apply(params, examples.inputs), examples.targets)

    problem = descend(examples_loss, examples_loss, inner_optimizer)
    rule = prepare_optimizer(optimizer, has_function=False)

    def init(key: Key[Array, ""], task: Task) -> ReptileState:
        # inputs of several arrays, as a PDE's points, count their examples each in its own way
        inputs = getattr(getattr(task, "support", None), "inputs", None)
        several = len(jax.tree.leaves(inputs)) > 1
        support = task.support if several else first_task(task).support
        params = network.init(key, support.inputs)
        inner_opt_state = problem.init((), params).opt_state
        return ReptileState(params, rule.init(params), inner_opt_state)

    def update(state: ReptileState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None):
        start = InnerState(state.params, state.inner_opt_state)

        def of_task(task: Task, key: Key[Array, ""]):
            here, parts = on_support(problem, examples(task), key, steps, batches)
            last = advance(here, (), start, parts)
            query_outputs = network.apply(last.params, task.query.inputs)
            metrics = loss_and_metrics(loss, query_outputs, task.query.targets)[1]
            return (floats(last), metrics), others(last)

        (means, metrics), counters = over_tasks(
            of_task, tasks, key, axis_name, tasks_at_once=tasks_at_once
        )
        # counters are the same in every task
        ends = with_leaves(start, means, at(counters, 0))
        difference = optax.tree.sub(state.params, ends.params)
        params, opt_state = optimizer_step(
            rule, state.params, state.opt_state, difference, value=metrics["query_loss"]
        )
        inner_opt_state = ends.opt_state if keep_inner_state else state.inner_opt_state
        metrics = {**metrics, "loss": metrics.pop("query_loss")}
        metrics["grad_norm"] = norm(difference)
        return ReptileState(params, opt_state, inner_opt_state), metrics

    return Algorithm(init, update, lambda state: state.params)
