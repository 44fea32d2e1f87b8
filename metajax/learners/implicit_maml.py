"""Implicit MAML: the meta-gradient at the solution of a regularized inner problem."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.bilevel import Hypergradient, conjugate_gradient, descend, estimate
from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_optimizer,
    checked_learner,
    checked_network,
)
from metajax.learners.inner import gradient_learner, on_support
from metajax.learners.losses import Loss, loss_and_metrics
from metajax.learners.named import named_loss


def imaml(
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    strength: float | Float[Array, ""] = 2.0,
    damping: float = 0.0,
    estimator: Hypergradient | None = None,
    unroll: int = 5,
) -> MetaLearner:
    """Learn the center that every task's parameters are drawn to (Rajeswaran et al. 2019).

    ``adapt`` takes ``steps`` inner steps from the meta-parameters ``theta`` down the support's loss
    plus ``strength / 2 |phi - theta|^2``. The meta-gradient does not run through them: it is
    ``(1 + H / strength)^-1 dL/dphi`` at the end, ``H`` the Hessian of the support's loss there, so
    memory does not depend on ``steps``. Exact at the minimum, biased before it. (arXiv 1909.04630,
    eq. 3, 6 and Algorithm 2.)

    Args:
      network: any ``Network(init, apply)``.
      loss: ``loss(outputs, targets) -> scalar``.
      optimizer: of the inner steps.
      steps: inner steps, enough to come near the minimum.
      strength: the paper's lambda, above 0; may be traced.
      damping: added to the Hessian's eigenvalues, 0 or more. Networks have negative ones, which
        without it make the inverse arbitrary where they are near ``-strength``.
      estimator: an implicit one of :mod:`metajax.bilevel`, in place of
        ``conjugate_gradient(iterations=5, damping=damping)``.
      unroll: inner steps written out in the loop of ``adapt``.

    Returns:
      The learner.

    Raises:
      ConfigError: ``steps`` below 1, or a ``strength`` that is not above 0.
    """
    if not isinstance(strength, jax.core.Tracer) and not 0 < float(strength) < float("inf"):
        raise ConfigError("strength", strength, "a finite number above 0")
    network, loss = checked_network(network), named_loss(loss)
    check_optimizer(optimizer)
    if estimator is None:
        estimator = conjugate_gradient(iterations=5, damping=damping)

    def outputs(params: Params, adapted: Params, inputs: Any) -> Any:
        return network.apply(adapted, inputs)

    def outer_loss(adapted: Params, params: Params, examples: Examples) -> Float[Array, ""]:
        return loss(outputs(params, adapted, examples.inputs), examples.targets)

    def inner_loss(adapted: Params, params: Params, examples: Examples) -> Float[Array, ""]:
        value = outer_loss(adapted, params, examples)
        squares = optax.tree.norm(optax.tree.sub(adapted, params), squared=True)
        return value + jnp.asarray(strength, value.dtype) / 2 * squares

    # the start is no hyperparameter here: where the steps converge does not depend on it
    problem = descend(inner_loss, outer_loss, optimizer)
    learner = gradient_learner(
        problem,
        lambda key, task: network.init(key, task.support.inputs),
        outputs,
        loss,
        steps=steps,
        unroll=unroll,
    )

    @jax.custom_vjp
    def centered_loss(params: Params, task: Task, key: Key[Array, ""]):
        return scored(params, learner.adapt(params, task.support, key), task)

    def scored(params: Params, adapted: Params, task: Task):
        return loss_and_metrics(
            loss, outputs(params, adapted, task.query.inputs), task.query.targets
        )

    def forward(params: Params, task: Task, key: Key[Array, ""]):
        here, parts = on_support(problem, task.support, key, steps, None)
        found = estimate(estimator, here, params, params, parts, task.query, key=key)
        return scored(params, found.state.params, task), found.hypergradient

    def backward(hypergradient: Params, grads):
        return jax.tree.map(lambda h: grads[0] * h, hypergradient), None, None

    centered_loss.defvjp(forward, backward)
    return checked_learner(learner._replace(loss=centered_loss))
