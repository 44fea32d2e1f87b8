"""Meta-training by the gradient of a learner's loss."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from metajax.core.boundary import scalar_loss
from metajax.core.kinds import check_learner, check_optimizer
from metajax.core.optimizers import optimizer_step, prepare_optimizer, reverse_mode
from metajax.core.step_tasks import check_tasks_at_once, mean_over_parts
from metajax.core.trees import cast_floats, wide_dtype
from metajax.core.types import Algorithm, MetaLearner, Params

MODES = "dtype_promotion", "rank_promotion"
DIFFERENTIABLE = (
    "steps that can be differentiated through: a line search within the inner loop (lbfgs) cannot; "
    "give it another inner optimizer, or meta-train by reptile, first_order_maml or evolution"
)


class GradientState(NamedTuple):
    """State of :func:`gradient`: meta-parameters and optimizer state, float32 or wider."""

    params: Params
    opt_state: optax.OptState


def gradient(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    *,
    tasks_at_once: int | None = None,
    compute_dtype: Any = None,
) -> Algorithm:
    """Make an algorithm that moves ``params`` down the gradient of the mean loss over tasks.

    Args:
      learner: the loss is ``mean_i learner.loss(params, task_i, key_i)``, one key per task.
      optimizer: any optax optimizer, also one that needs the loss (``reduce_on_plateau``,
        ``polyak_sgd``) or evaluates it elsewhere (``lbfgs`` with its line search, ``sam``,
        ``sophia``): on the step's tasks, with the same keys, averaged over devices. Its state is
        part of the algorithm's state.
      tasks_at_once: a device works through its tasks in parts of so many, one after the other,
        and their gradients are averaged: activations of one part only are alive at a time. None
        for all at once.
      compute_dtype: e.g. ``jnp.bfloat16``: params and float leaves of the tasks are cast to it
        inside the loss, while params, gradients and optimizer state stay float32.

    Metrics: the learner's own, averaged over tasks, ``loss``, and ``grad_norm`` (the Euclidean
    norm of the averaged gradient, before any clipping in ``optimizer``).

    Returns:
      The algorithm; its state holds ``params`` and the optimizer's state.

    Raises:
      ConfigError: there is no learner or no optimizer, or the learner's loss is not a scalar with
        metrics; ``tasks_at_once`` is below 1; or, when the first state is made, ``optimizer`` needs
        something that is not available, such as the gradient of every task (``dpsgd``).

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import optax
      >>> import metajax as mj
      >>> learner = mj.MetaLearner(
      ...     init=lambda key, task: jnp.zeros(()),
      ...     adapt=lambda params, support, key: params,
      ...     predict=lambda params, adapted, inputs: adapted * inputs,
      ...     loss=lambda params, task, key: ((params - task.query.targets.mean()) ** 2, {}),
      ... )
      >>> algorithm = mj.gradient(learner, optax.sgd(0.25))
      >>> ones = mj.Examples(jnp.ones((4, 1)), jnp.ones((4, 1)))
      >>> state = algorithm.init(jax.random.key(0), mj.Task(ones, ones))
      >>> tasks = jax.tree.map(lambda leaf: leaf[None], mj.Task(ones, ones))
      >>> state, metrics = algorithm.update(state, tasks, jax.random.key(1))
      >>> float(metrics["loss"]), float(algorithm.params(state))
      (1.0, 0.5)
    """
    check_learner(learner)
    check_optimizer(optimizer)
    check_tasks_at_once(tasks_at_once)

    loss_of = scalar_loss(learner)

    def mean_loss(params: Params, tasks: PyTree, keys: PyTree):
        if compute_dtype is not None:
            params, tasks = cast_floats((params, tasks), compute_dtype)
        losses, metrics = jax.vmap(loss_of, in_axes=(None, 0, 0))(params, tasks, keys)

        def mean(leaf):
            return jnp.mean(leaf.astype(wide_dtype(leaf)), axis=0)

        metrics, loss = jax.tree.map(mean, (metrics, losses))
        return loss, {**metrics, "loss": loss}

    grad_of_mean = jax.grad(mean_loss, has_aux=True)
    rule = prepare_optimizer(optimizer, has_function=True)

    def init(key, task) -> GradientState:
        params = learner.init(key, task)
        return GradientState(params, rule.init(params))

    def over_parts(function, params: Params, tasks, key, axis_name: str | None = None):
        at_params = functools.partial(function, params)
        return mean_over_parts(at_params, tasks, key, axis_name, tasks_at_once=tasks_at_once)

    forward, backward = (functools.partial(over_parts, f) for f in (mean_loss, grad_of_mean))

    def update(state: GradientState, tasks, key, axis_name: str | None = None):
        modes = {name: getattr(jax.config, f"jax_numpy_{name}") for name in MODES}

        def over_all(function, params: Params):
            # an optimizer that calls this is lenient with dtypes and ranks, a learner need not be
            with (
                jax.numpy_dtype_promotion(modes["dtype_promotion"]),
                jax.numpy_rank_promotion(modes["rank_promotion"]),
                reverse_mode("learner", "a loop of unknown length in its loss", DIFFERENTIABLE),
            ):
                return function(params, tasks, key, axis_name)

        @jax.custom_jvp
        def loss_of(params: Params) -> Float[Array, ""]:
            return over_all(forward, params)[0]

        # averaged over devices as the gradient is, and part by part: the derivative of a mean
        # over devices would be that of the tasks on one of them
        @loss_of.defjvp
        def loss_along(at, along):
            grads, metrics = over_all(backward, *at)
            slope = optax.tree.vdot(grads, along[0])
            return metrics["loss"], slope.astype(metrics["loss"].dtype)

        grads, metrics = over_all(backward, state.params)
        params, opt_state = optimizer_step(
            rule, state.params, state.opt_state, grads, value=metrics["loss"], value_fn=loss_of
        )
        # the plain root: that of `norm` compares the sum with 0, a comparison so cheap that XLA
        # sums the squares again for each array that depends on whether the step was finite
        metrics["grad_norm"] = optax.tree.norm(grads)
        return GradientState(params, opt_state), metrics

    def of_params(function, state: GradientState, tasks, key):
        return function(state.params, tasks, key)

    stages = {
        "forward": functools.partial(of_params, forward),
        "backward": functools.partial(of_params, backward),
    }
    return Algorithm(init, update, lambda state: state.params, stages)
