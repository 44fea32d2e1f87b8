"""A support vector machine as the head, differentiated at its optimum (MetaOptNet)."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_type,
    cross_entropy,
    wide_dtype,
)
from metajax.learners.losses import Loss, one_hot
from metajax.learners.metric import check_ways, embedding, embedding_learner


class SvmParams(NamedTuple):
    """Meta-parameters of :func:`svm`.

    Attributes:
      network: the features'.
      scale: what the machine's scores are multiplied by to make them logits.
    """

    network: Params
    scale: Float[Array, ""]


def nearest_weights(x: Float[Array, "n k"], most: Float[Array, "n k"]) -> Float[Array, "n k"]:
    """Return the nearest rows that are at most ``most`` and sum to 0.

    That is ``min(x + t, most)``, where ``t`` is the largest of the numbers that would be right if
    the ``j`` entries nearest to their bounds were free and the others at theirs, over all ``j``.
    Classes are few: comparing all pairs is quicker than sorting.
    """
    room = most - x
    free = room[:, None, :] >= room[:, :, None]
    taken = jnp.sum(jnp.where(free, x[:, None, :], most[:, None, :]), -1)
    shift = jnp.min(taken / jnp.sum(free, -1).astype(x.dtype), -1, keepdims=True)
    return jnp.minimum(x - shift, most)


def svm_weights(
    gram: Float[Array, "n n"],
    targets: Float[Array, "n k"],
    cost: float | Float[Array, ""],
    most_steps: int,
) -> Float[Array, "n k"]:
    """Return the examples' weights of the multi-class SVM of Crammer and Singer (2001).

    They maximize ``sum targets weights - trace(weights^T gram weights) / 2``, where each row sums
    to 0 and is at most ``cost`` at the example's class and at most 0 elsewhere; a class's head is
    ``features^T weights``. Descent by projected gradients with momentum (Nesterov; started again
    where it turns back: O'Donoghue and Candes 2015) gets there by matrix products alone.

    The derivative by ``gram`` is that of the optimum (Lee et al. 2019, arXiv 1904.03758, section
    3.2): what is at a bound stays there, and the rest solves a linear system, here by conjugate
    gradients.

    Args:
      gram: the products of all examples' features.
      targets: one-hot rows.
      cost: of a margin that is missed, above 0; a constant to derivatives.
      most_steps: of the descent, which ends earlier where a step moves nothing but rounding.
    """
    still, most = jax.lax.stop_gradient(gram), cost * targets
    step = 1 / (jnp.max(jnp.sum(jnp.abs(still), -1)) + jnp.finfo(gram.dtype).tiny)

    def descend(carry: Any) -> Any:
        old, ahead, momentum, _, done = carry
        new = nearest_weights(ahead - step * (still @ ahead - targets), most)
        back = jnp.sum((ahead - new) * (new - old)) > 0
        larger = jnp.where(back, 1, (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2)
        further = new + jnp.where(back, 0, (momentum - 1) / larger) * (new - old)
        moved = jnp.max(jnp.abs(new - ahead)) > 4 * jnp.finfo(gram.dtype).eps * jnp.max(new)
        return new, further, larger, moved, done + 1

    def going(carry: Any) -> Bool[Array, ""]:
        *_, moved, done = carry
        return moved & (done < most_steps)

    start = jnp.zeros_like(targets), jnp.zeros_like(targets), jnp.ones((), gram.dtype)
    weights = jax.lax.while_loop(going, descend, (*start, jnp.asarray(True), 0))[0]

    free = (weights < most).astype(gram.dtype)

    def along(x: Float[Array, "n k"]) -> Float[Array, "n k"]:
        """The part of a direction that keeps what is at a bound, and the sums of rows."""
        shift = jnp.sum(free * x, -1, keepdims=True) / jnp.maximum(jnp.sum(free, -1), 1)[:, None]
        return free * (x - shift)

    slope = along(gram @ weights - targets)
    slope = slope - jax.lax.stop_gradient(slope)  # 0, with the derivative by gram
    moved, _ = jax.scipy.sparse.linalg.cg(
        lambda x: along(still @ along(x)),
        slope,
        tol=float(jnp.finfo(gram.dtype).eps) ** (2 / 3),
        maxiter=weights.size,
    )
    return weights - along(moved)  # the transpose has to solve for directions that can be taken


def svm(
    network: Network,
    *,
    ways: int,
    cost: float = 0.1,
    most_steps: int = 1000,
    scale: float = 1.0,
    loss: Loss = cross_entropy,
) -> MetaLearner:
    """Fit a multi-class support vector machine to each support's features (MetaOptNet-SVM).

    Outputs are ``scale * features W``; the scale is learned. (Lee et al. 2019, arXiv 1904.03758,
    eq. 6 to 8 and 12.)

    Args:
      network: the features, ``inputs[n, ...] -> [n, features]``.
      ways: classes; targets are 0 to ``ways - 1``.
      cost: of a margin that is missed, the paper's ``C``.
      most_steps: see :func:`svm_weights`.
      scale: where the scale starts.
      loss: ``loss(logits, targets) -> scalar``, of the query.

    Returns:
      A learner whose ``adapted`` is ``W``, ``[features, ways]``, and whose meta-parameters are
      :class:`SvmParams`.

    Raises:
      ConfigError: fewer than 2 ways or than 1 step, or a cost that is not above 0.
    """
    check_ways(ways)
    if most_steps < 1:
        raise ConfigError("most_steps", most_steps, "1 step or more")
    if isinstance(cost, float | int) and not cost > 0:
        raise ConfigError("cost", cost, "a number above 0")
    network = embedding(network)

    def init(key: Key[Array, ""], task: Task) -> SvmParams:
        params = network.init(key, task.support.inputs)
        return SvmParams(params, jnp.asarray(scale, wide_dtype(params)))

    def features_of(params: SvmParams, inputs: Any) -> Float[Array, "n d"]:
        check_type("params", params, SvmParams)
        return network.apply(params.network, inputs)

    def adapt(params: SvmParams, support: Examples) -> Float[Array, "d ways"]:
        features = features_of(params, support.inputs)
        x = features.astype(np.promote_types(features.dtype, np.float32))
        targets = one_hot(support.targets, ways, x.dtype)
        return (x.T @ svm_weights(x @ x.T, targets, cost, most_steps)).astype(features.dtype)

    def predict(params: SvmParams, head: Float[Array, "d ways"], inputs: Any) -> Any:
        outputs = features_of(params, inputs) @ head
        return params.scale.astype(outputs.dtype) * outputs

    return embedding_learner(network, adapt, predict, loss, init, ways=ways)
