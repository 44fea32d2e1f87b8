"""What is wrong about a motion: its residuals, as a loss to adapt by and to meta-train by."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    checked_learner,
    described,
)
from metajax.learners.losses import Loss, loss_and_metrics
from metajax.physics import Phase
from metajax.systems.hamiltonian.tasks import Snapshots


def residual_sum(outputs: Phase, targets: Snapshots) -> Float[Array, ""]:
    """Add up the log-cosh of all residuals of the points that count.

    Args:
      outputs: predicted rates.
      targets: observed rates, and which points count.

    Returns:
      A scalar.
    """

    def total(found: Array, wanted: Array) -> Float[Array, ""]:
        each = optax.losses.log_cosh(found, wanted)
        return jnp.sum(jnp.where(targets.counted[:, None, None], each, 0))

    sums = jax.tree.map(total, outputs, targets.state)
    return sums.q + sums.p


def residual_mean(outputs: Phase, targets: Snapshots) -> Float[Array, ""]:
    """Average the log-cosh of the residuals of the points that count.

    Args:
      outputs: predicted rates.
      targets: observed rates, and which points count.

    Returns:
      A scalar.
    """
    _, particles, dim = targets.state.q.shape
    total = residual_sum(outputs, targets)
    return total / (2 * particles * dim * jnp.sum(targets.counted.astype(total.dtype)))


LOSSES: dict[str, Loss] = {"sum": residual_sum, "mean": residual_mean}
"""What is adapted by in training, by the setting ``reduction``."""


def scored_on_query(learner: MetaLearner) -> MetaLearner:
    """Return a learner of motion with another loss, the mean of the query's residuals.

    Whatever it adapts by, this is what meta-training descends.
    """

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        adapted = learner.adapt(params, task.support, key)
        outputs = learner.predict(params, adapted, task.query.inputs)
        return loss_and_metrics(residual_mean, outputs, task.query.targets)

    return checked(learner._replace(loss=loss))


def scored_on_all(learner: MetaLearner, network: Network) -> MetaLearner:
    """Return a learner of motion with another loss, of its network before it is adapted.

    It is the mean of the residuals of support and query, all that adapting sees of a task.
    """

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        points = jax.tree.map(lambda s, q: jnp.concatenate([s, q]), task.support, task.query)
        return loss_and_metrics(residual_mean, network.apply(params, points.inputs), points.targets)

    return checked(learner._replace(loss=loss))


def checked(learner: MetaLearner) -> MetaLearner:
    """Return a learner of motion that checks its arguments."""
    return checked_learner(learner, _check_states, inputs=Snapshots)


def _check_states(field: str, examples: Examples) -> None:
    """Raise where positions or momenta are not ``[points, particles, 2]``, both alike.

    Raises:
      ConfigError: they are not.
    """
    q, p = examples.inputs.state
    if q.ndim != 3 or q.shape != p.shape or q.shape[-1] != 2:
        raise ConfigError(
            f"{field}.inputs.state", described((q, p)), "q and p, each [points, particles, 2]"
        )
