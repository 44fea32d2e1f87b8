"""Meta-training by the gradient of a learner's loss."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree

from metajax.core.boundary import scalar_loss
from metajax.core.errors import ConfigError
from metajax.core.keys import task_keys
from metajax.core.kinds import check_learner, check_optimizer
from metajax.core.trees import cast_floats, mean_over_devices
from metajax.core.types import Algorithm, MetaLearner, Params


class GradientState(NamedTuple):
    """State of :func:`gradient`: the meta-parameters and the optimizer's state, both float32."""

    params: Params
    opt_state: optax.OptState


def gradient(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    *,
    microbatches: int | None = 1,
    compute_dtype: Any = None,
) -> Algorithm:
    """Make an algorithm that moves ``params`` down the gradient of the mean loss over tasks.

    Args:
      learner: the loss is ``mean_i learner.loss(params, task_i, key_i)``, one key per task.
      optimizer: any optax optimizer; its state is part of the algorithm's state.
      microbatches: the tasks of a step are worked through in this many equal parts, one after
        the other, and their gradients averaged: activations of one part only are alive at a
        time. Must divide the number of tasks on a device. None: every task by itself.
      compute_dtype: e.g. ``jnp.bfloat16``: params and float leaves of the tasks are cast to it
        inside the loss, while params, gradients and optimizer state stay float32.

    Metrics: the learner's own, averaged over tasks, ``loss``, and ``grad_norm`` (the Euclidean
    norm of the averaged gradient, before any clipping in ``optimizer``).

    Raises:
      ConfigError: ``microbatches`` is below 1 or does not divide the tasks on a device; there is no
        learner or no optimizer, or the learner's loss is not a scalar with metrics.
    """
    check_learner(learner)
    check_optimizer(optimizer)
    if microbatches is not None and microbatches < 1:
        raise ConfigError("microbatches", microbatches, "a whole number of 1 or more")

    loss_of = scalar_loss(learner)

    def mean_loss(params: Params, tasks: PyTree, keys: PyTree):
        if compute_dtype is not None:
            params, tasks = cast_floats((params, tasks), compute_dtype)
        losses, metrics = jax.vmap(loss_of, in_axes=(None, 0, 0))(params, tasks, keys)
        metrics = jax.tree.map(lambda m: jnp.mean(m.astype(jnp.float32), axis=0), metrics)
        loss = jnp.mean(losses.astype(jnp.float32))
        return loss, {**metrics, "loss": loss}

    grad_of_mean = jax.grad(mean_loss, has_aux=True)

    def init(key, task) -> GradientState:
        params = learner.init(key, task)
        return GradientState(params, optimizer.init(params))

    def over_parts(function, state: GradientState, tasks, key, axis_name: str | None = None):
        """Average ``function(params, tasks, keys)`` over the parts of the tasks held here."""
        num_tasks = jax.tree.leaves(tasks)[0].shape[0]
        parts = num_tasks if microbatches is None else microbatches
        if num_tasks % parts:
            raise ConfigError(
                "microbatches", parts, f"a divisor of the {num_tasks} tasks on a device"
            )
        keys = task_keys(key, num_tasks, axis_name)
        if parts == 1:
            return function(state.params, tasks, keys)
        split = jax.tree.map(lambda x: x.reshape(parts, -1, *x.shape[1:]), (tasks, keys))

        def add_part(total, part):
            return jax.tree.map(jnp.add, total, function(state.params, *part)), None

        like = jax.eval_shape(function, state.params, *jax.tree.map(lambda x: x[0], split))
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
        total, _ = jax.lax.scan(add_part, zeros, split)
        return jax.tree.map(lambda x: x / parts, total)

    forward, backward = (functools.partial(over_parts, f) for f in (mean_loss, grad_of_mean))

    def update(state: GradientState, tasks, key, axis_name: str | None = None):
        grads, metrics = mean_over_devices(backward(state, tasks, key, axis_name), axis_name)
        # optax itself mixes dtypes (a float decay to an int count): the strict mode, where a
        # caller has it on, is for code outside optax
        with jax.numpy_dtype_promotion("standard"):
            updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return GradientState(params, opt_state), metrics

    stages = {"forward": forward, "backward": backward}
    return Algorithm(init, update, lambda state: state.params, stages)
