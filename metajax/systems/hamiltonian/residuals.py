"""From a config to the learner, and to the algorithm that meta-trains it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.core import (
    Algorithm,
    ConfigError,
    Examples,
    MetaLearner,
    Params,
    Task,
    checked_learner,
    described,
    gradient,
    mixed,
)
from metajax.learners import anil, first_order_maml, maml, meta_sgd
from metajax.learners.losses import score
from metajax.learners.maml_family import put_back
from metajax.physics import Phase
from metajax.systems.hamiltonian.config import Config
from metajax.systems.hamiltonian.network import make_motion
from metajax.systems.hamiltonian.tasks import Snapshots

ADAPTED_BY_ANIL = ("readout", "head")
"""The parts of the graph network behind its messages."""


def residual_sum(outputs: Phase, targets: Snapshots) -> Float[Array, ""]:
    """Add up the log-cosh of all residuals of the points that count."""

    def total(found: Array, wanted: Array) -> Float[Array, ""]:
        each = optax.losses.log_cosh(found, wanted)
        return jnp.sum(jnp.where(targets.counted[:, None, None], each, 0))

    sums = jax.tree.map(total, outputs, targets.state)
    return sums.q + sums.p


def residual_mean(outputs: Phase, targets: Snapshots) -> Float[Array, ""]:
    """Average the log-cosh of the residuals of the points that count."""
    _, particles, dim = targets.state.q.shape
    num = 2 * particles * dim * jnp.sum(targets.counted.astype(jnp.float32))
    return residual_sum(outputs, targets) / num


def check_states(field: str, examples: Examples) -> None:
    """Raise where positions or momenta are not ``[points, particles, 2]``, both alike.

    Raises:
      ConfigError: they are not.
    """
    q, p = examples.inputs.state
    if q.ndim != 3 or q.shape != p.shape or q.shape[-1] != 2:
        raise ConfigError(
            f"{field}.inputs.state", described((q, p)), "q and p, each [points, particles, 2]"
        )


def make_learner(
    config: Config, new_systems_at: float | Float[Array, ""] | None = None
) -> MetaLearner:
    """The config's learner, or the one that adapts to new systems as the evaluation asks.

    Whatever the inner reduction, what meta-training descends is the mean over the query.

    Args:
      config: of the run.
      new_systems_at: None, or the rate in place of ``eval_lr`` at which to adapt to new systems;
        may be traced. Meta-SGD takes its own.
    """
    network = make_motion(config)
    rate, steps = config.inner_lr, config.inner_steps
    loss = residual_sum if config.reduction == "sum" else residual_mean
    optimizer = optax.sgd(rate)
    if new_systems_at is not None:
        steps = config.eval_steps
        if config.learner != "meta_sgd":
            loss = residual_mean
            adam = config.eval_optimizer == "adam"
            optimizer = (optax.adam if adam else optax.sgd)(new_systems_at)
    match config.learner:
        case "anil":
            inner = anil(network, loss, optimizer, steps=steps, inner=ADAPTED_BY_ANIL, unroll=1)
        case "meta_sgd":
            inner = meta_sgd(network, loss, optimizer, steps=steps, unroll=1)
        case "first_order_maml":
            inner = first_order_maml(network, loss, optimizer, steps=steps, unroll=1)
        case _:
            inner = maml(network, loss, optimizer, steps=steps, unroll=1)

    def query_loss(params: Params, task: Task, key: Key[Array, ""]):
        adapted = inner.adapt(params, task.support, key)
        outputs = inner.predict(params, adapted, task.query.inputs)
        return score(residual_mean, outputs, task.query.targets)

    def joint_loss(params: Params, task: Task, key: Key[Array, ""]):
        """On all that maml sees of a task."""
        points = jax.tree.map(lambda s, q: jnp.concatenate([s, q]), task.support, task.query)
        return score(residual_mean, network.apply(params, points.inputs), points.targets)

    learner = inner._replace(loss=joint_loss if config.learner == "joint" else query_loss)
    return checked_learner(learner, check_states, inputs=Snapshots)


def make_algorithm(config: Config) -> Algorithm:
    """Adam on the learner's loss, its gradient clipped; on tasks of ``make_tasks``."""
    optimizer = optax.adam(config.learning_rate)
    if config.clip_norm is not None:
        optimizer = optax.chain(optax.clip_by_global_norm(config.clip_norm), optimizer)
    return gradient(mixed(make_learner(config)), optimizer)


def weights(config: Config, params: Params, adapted: Params) -> Params:
    """The whole network's weights after adapting, whatever of them the learner adapts."""
    if config.learner == "anil":
        return put_back(params, adapted, ADAPTED_BY_ANIL)
    return adapted
