"""Meta-training by evolution strategies: no derivative of any learner's loss is taken."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.bilevel import InnerProblem, es
from metajax.core import (
    Algorithm,
    GradientState,
    MetaLearner,
    check_learner,
    check_optimizer,
    check_tasks_at_once,
    norm,
    optimizer_step,
    over_tasks,
    prepare_optimizer,
    scalar_loss,
)


def evolution(
    learner: MetaLearner,
    optimizer: optax.GradientTransformation,
    *,
    sigma: float | Float[Array, ""] = 0.01,
    pairs: int = 16,
    tasks_at_once: int | None = None,
) -> Algorithm:
    """Move meta-parameters by antithetic evolution strategies on any learner's loss.

    Every task perturbs the meta-parameters along ``pairs`` normal directions of deviation ``sigma``
    and against them, with the same key for the learner. The gradient is estimated as the mean of
    ``(L(+e) - L(-e)) e / (2 sigma^2)``, which is unbiased for the loss smoothed by that noise. The
    learner may adapt by gradients within its loss; nothing differentiates through them. (Salimans
    et al. 2017, arXiv 1703.03864; for MAML, Song et al. 2020, arXiv 1910.01215.)

    Args:
      learner: whose loss is lowered.
      optimizer: of the meta-parameters.
      sigma: deviation of the perturbations, above 0; may be traced.
      pairs: perturbations of a task. A meta-step evaluates ``2 pairs + 1`` losses a task, all at
        once, so it holds that many copies of the meta-parameters for each task worked on.
      tasks_at_once: tasks worked on side by side, the others wait their turn; None for all.

    Metrics: ``loss`` without perturbation, and ``grad_norm`` of the estimate.

    Returns:
      The algorithm.

    Raises:
      ConfigError: ``sigma``, ``pairs`` or ``tasks_at_once`` out of range.
    """
    check_tasks_at_once(tasks_at_once)
    estimator = es(sigma=sigma, pairs=pairs)
    rule = prepare_optimizer(optimizer, has_function=False)
    check_learner(learner)
    check_optimizer(optimizer)
    loss_of = scalar_loss(learner)
    # an inner problem without inner steps: its outer loss is the learner's
    problem = InnerProblem(
        init=lambda params, start: (),
        update=lambda state, params, batch: state,
        outer_loss=lambda state, params, drawn: loss_of(params, *drawn)[0],
    )

    def init(key: Key[Array, ""], task: Any) -> GradientState:
        params = learner.init(key, task)
        return GradientState(params, rule.init(params))

    def update(state: GradientState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None):
        def of_task(task: Any, key: Key[Array, ""]):
            noise_key, loss_key = jax.random.split(key)
            found = estimator.update(
                problem, (), state.params, (), jnp.zeros(1), (task, loss_key), noise_key
            )
            return (found.hypergradient, found.outer_loss), ()

        (grads, loss), _ = over_tasks(of_task, tasks, key, axis_name, tasks_at_once=tasks_at_once)
        params, opt_state = optimizer_step(rule, state.params, state.opt_state, grads, value=loss)
        return GradientState(params, opt_state), {"loss": loss, "grad_norm": norm(grads)}

    return Algorithm(init, update, lambda state: state.params)
