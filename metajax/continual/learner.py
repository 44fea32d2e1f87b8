"""A learner of tasks in sequence, and the algorithm that trains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int32, Key, PyTree

from metajax.continual.sequences import Batch
from metajax.core import (
    Algorithm,
    Params,
    correct,
    mean_over_parts,
    optimizer_step,
    prepare_optimizer,
)
from metajax.nn import Interval


def _keep(params: Params, memory: Any, *_: Any) -> tuple[Params, Any]:
    return params, memory


def _remember_nothing(params: Params, memory: Any, *_: Any) -> Any:
    return memory


class BoxedNetworks(NamedTuple):
    """Networks that a learner makes from boxes of embeddings, with bounds of their logits.

    Attributes:
      bounds: ``bounds(params, index, inputs) -> Interval`` of the logits of every network made
        from the task's box.
      network: ``network(params, embedding) -> params`` of the target made from one embedding.
      apply: ``apply(params, inputs) -> logits`` of the target.
      box: ``box(params, index) -> Interval`` of embeddings.
    """

    bounds: Callable[[Params, Int32[Array, ""], Any], Interval]
    network: Callable[[Params, Float[Array, " size"]], Params]
    apply: Callable[[Params, Any], Float[Array, "n ways"]]
    box: Callable[[Params, Int32[Array, ""]], Interval]


class ContinualLearner(NamedTuple):
    """A learner of tasks in sequence, as pure functions; the task's index may be traced in all.

    Attributes:
      init: ``init(key, batch) -> params``.
      memory: ``memory(params) -> memory``: what is kept from earlier tasks, nothing so far.
      loss: ``loss(params, memory, batch, key) -> (loss, metrics)`` on the present task.
      predict: ``predict(params, index, inputs) -> logits`` by what is known of a task.
      begin: ``begin(params, memory, index) -> (params, memory)`` before a task's first step.
      kept: ``kept(params, memory, index) -> loss``, the penalty that protects earlier tasks; None:
        there is none.
      look_ahead: ``kept`` is computed at the parameters after a step on the present task alone.
      review: ``review(params, memory, batch, examples, key) -> found``, averaged over the last
        step's draws; None: there is no review.
      finish: ``finish(params, memory, found, index) -> memory`` after a task's last step.
      numbers: how many numbers are kept for predictions and for further learning, after ``tasks``
        tasks: ``numbers(params, memory, tasks) -> {name: count}``.
      by_task: each task has a network of its own, so that the surest of them tells the task.
      universal: ``universal(params, inputs) -> logits`` by the one network that stands for all
        tasks; None: there is none.
      boxed: the boxes that it makes networks from; None: it makes none from boxes.
    """

    init: Callable[[Key[Array, ""], Batch], Params]
    memory: Callable[[Params], Any]
    loss: Callable[..., tuple[Float[Array, ""], dict[str, Any]]]
    predict: Callable[[Params, Int32[Array, ""], Any], Float[Array, "n ways"]]
    begin: Callable[..., tuple[Params, Any]] = _keep
    kept: Callable[[Params, Any, Int32[Array, ""]], Float[Array, ""]] | None = None
    look_ahead: bool = False
    review: Callable[..., Any] | None = None
    finish: Callable[..., Any] = _remember_nothing
    numbers: Callable[[Params, Any, int], dict[str, int]] | None = None
    by_task: bool = False
    universal: Callable[[Params, Any], Float[Array, "n ways"]] | None = None
    boxed: BoxedNetworks | None = None


class SequenceState(NamedTuple):
    """State of :func:`in_sequence`.

    Attributes:
      params: the present ones.
      opt_state: of the optimizer, from its start in every task.
      memory: the learner's, of earlier tasks.
      task: index of the present task.
      after: the parameters as they were after each earlier task, ``[tasks, ...]``; rows of other
        tasks are not read.
    """

    params: Params
    opt_state: Any
    memory: Any
    task: Int32[Array, ""]
    after: Params


def in_sequence(
    learner: ContinualLearner, optimizer: optax.GradientTransformation, num_tasks: int
) -> Algorithm:
    """Make the algorithm that trains a continual learner on a sequence of tasks.

    Its tasks are those of :func:`~metajax.continual.sequence_tasks`. One compiled step serves all
    of them: the index of the present task is traced. The optimizer starts again in every task.
    Otherwise Adam's moments of the previous task would move the parameters in the first steps of
    the next one.

    Args:
      learner: what is trained.
      optimizer: any optax optimizer.
      num_tasks: of the sequence.

    Returns:
      The algorithm. Its parameters are those after each task, ``[num_tasks, ...]``, for measuring
      the accuracy after each task; rows of later tasks hold the present ones.
    """
    rule = prepare_optimizer(optimizer, has_function=False)

    def init(key: Key[Array, ""], task: Any) -> SequenceState:
        params = learner.init(key, task.support)
        after = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_tasks, *leaf.shape)), params)
        memory = learner.memory(params)
        return SequenceState(params, rule.init(params), memory, jnp.int32(0), after)

    def params_of(state: SequenceState) -> Params:
        present = jnp.arange(num_tasks) >= state.task

        def rows(after: Array, latest: Array) -> Array:
            return jnp.where(present.reshape(-1, *[1] * latest.ndim), latest[None], after)

        return jax.tree.map(rows, state.after, state.params)

    def mean_loss(params: Params, memory: Any, tasks: PyTree, keys: PyTree) -> Any:
        batch = tasks.support
        # the task is the same in all draws: what is made for it is made once
        index, place, last = batch.task[0], batch.place[0], batch.last[0]

        def one(examples: Any, mixed: Any, mixed_index: Any, key: Any) -> Any:
            drawn = Batch(examples, index, place, last, mixed, mixed_index)
            return learner.loss(params, memory, drawn, key)

        drawn = batch.examples, batch.mixed, batch.mixed_index
        losses, metrics = jax.vmap(one)(*drawn, keys)
        loss = jnp.mean(losses)
        return loss, {**jax.tree.map(lambda leaf: jnp.mean(leaf, 0), metrics), "loss": loss}

    def update(
        state: SequenceState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[SequenceState, dict[str, Any]]:
        index, place = tasks.support.task[0], tasks.support.place[0]
        last = tasks.support.last[0]
        # from the state, not from the new parameters: computed a second time they could round
        # otherwise. A task's last write, in the first step of the next one, is what it ended with
        after = jax.tree.map(
            lambda rows, row: rows.at[state.task].set(row), state.after, state.params
        )
        # before the first step of a task
        params, memory = jax.lax.cond(
            place == 0,
            lambda: learner.begin(state.params, state.memory, index),
            lambda: (state.params, state.memory),
        )
        opt_state = jax.lax.cond(place == 0, lambda: rule.init(params), lambda: state.opt_state)
        # the present task
        grads, metrics = mean_over_parts(
            lambda tasks, keys: jax.grad(mean_loss, has_aux=True)(params, memory, tasks, keys),
            tasks,
            key,
            axis_name,
        )
        # earlier tasks
        if learner.kept is not None:
            kept, at = learner.kept, params
            if learner.look_ahead:
                ahead, _ = optimizer_step(rule, params, opt_state, grads, value=metrics["loss"])
                at = jax.lax.stop_gradient(ahead)
            value, slope = jax.value_and_grad(lambda params: kept(params, memory, index))(at)
            grads = jax.tree.map(jnp.add, grads, slope)
            metrics["kept"] = value
        metrics["grad_norm"] = optax.tree.norm(grads)
        params, opt_state = optimizer_step(rule, params, opt_state, grads, value=metrics["loss"])
        # after the last step of a task
        if learner.review is not None:
            look = learner.review

            def finish() -> Any:
                found = mean_over_parts(
                    lambda tasks, keys: jax.tree.map(
                        lambda leaf: jnp.mean(leaf, 0),
                        jax.vmap(
                            lambda task, key: look(params, memory, task.support, task.query, key)
                        )(tasks, keys),
                    ),
                    tasks,
                    jax.random.fold_in(key, 1),
                    axis_name,
                )
                return learner.finish(params, memory, found, index)

            memory = jax.lax.cond(last, finish, lambda: memory)
        else:
            memory = jax.lax.cond(
                last, lambda: learner.finish(params, memory, None, index), lambda: memory
            )
        return SequenceState(params, opt_state, memory, index, after), metrics

    return Algorithm(init, update, params_of)


def accuracy_matrix(
    predict: Callable[..., Float[Array, "n ways"]], after: Params, sequence: Any
) -> Float[Array, "tasks tasks"]:
    """Return the accuracy after each task on every task: row i after task i, column j on task j.

    Args:
      predict: of the learner.
      after: the parameters after each task, as :func:`in_sequence` has them.
      sequence: of tasks, with held-out examples.
    """
    places = jnp.arange(sequence.num_tasks, dtype=jnp.int32)

    def on_task(index: Array) -> Array:
        examples, counts = sequence.held_out_of(index)

        def by(params: Params) -> Array:
            logits = predict(params, index, examples.inputs)
            return counted_accuracy(logits, examples.targets, counts)

        return jax.lax.map(by, after)

    return jax.lax.map(on_task, places).T


def counted_accuracy(
    logits: Float[Array, "n ways"], targets: Int32[Array, " n"], counts: Bool[Array, " n"]
) -> Float[Array, ""]:
    """Return the accuracy on the examples that count; NaN where a logit of them is not finite.

    Args:
      logits: of the classes.
      targets: class indices.
      counts: which examples count.
    """
    right = correct(logits, targets)
    return jnp.sum(jnp.where(counts, right, 0)) / jnp.sum(counts).astype(right.dtype)


class Summary(NamedTuple):
    """An accuracy matrix in four numbers.

    Attributes:
      final: mean accuracy on all tasks after the last.
      during: mean accuracy on each task just after it was learned.
      forgetting: mean fall since then, of all tasks but the last.
      backward: the same as a gain: backward transfer.
    """

    final: float
    during: float
    forgetting: float
    backward: float


def summarize(matrix: Float[Array | np.ndarray, "tasks tasks"]) -> Summary:
    """Summarize an accuracy matrix.

    Args:
      matrix: as :func:`accuracy_matrix` returns it.

    Returns:
      Its summary.
    """
    last, learned = np.asarray(matrix[-1]), np.diagonal(matrix)
    fall = float(np.mean(learned[:-1] - last[:-1])) if len(last) > 1 else 0.0
    return Summary(float(np.mean(last)), float(np.mean(learned)), fall, -fall)
