"""A ridge-regression head in closed form on learned features (R2-D2)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_type,
    wide_dtype,
)
from metajax.learners.losses import Loss, one_hot
from metajax.learners.metric import check_ways, embedding, embedding_learner
from metajax.nn import damped_least_squares


class RidgeParams(NamedTuple):
    """Meta-parameters of :func:`ridge`.

    Attributes:
      network: the features'.
      log_strength: logarithm of the regularizer's weight.
      scale: what the regression's outputs are multiplied by.
    """

    network: Params
    log_strength: Float[Array, ""]
    scale: Float[Array, ""]


def ridge_solution(
    features: Float[Array, "n d"], targets: Float[Array, "n k"], strength: Float[Array, ""]
) -> Float[Array, "d k"]:
    """Return the ``W`` that minimizes ``|features W - targets|^2 + strength |W|^2``.

    By QR (:func:`metajax.nn.damped_least_squares`), of the examples where they are fewer than the
    features and of the features otherwise.

    Args:
      features: of the examples.
      targets: numbers, such as one-hot labels.
      strength: of the penalty, above 0.
    """
    return damped_least_squares(features, targets, strength).astype(features.dtype)


def with_ones(
    network: Network,
) -> Callable[[RidgeParams, Any], Float[Array, "n d"]]:
    """Return the features of :class:`RidgeParams` at inputs, and a column of ones."""

    def features_of(params: RidgeParams, inputs: Any) -> Float[Array, "n d"]:
        check_type("params", params, RidgeParams)
        features = network.apply(params.network, inputs)
        return jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=-1)

    return features_of


def ridge(
    network: Network,
    loss: Loss,
    *,
    ways: int | None = None,
    log_strength: float = 0.0,
    scale: float = 1.0,
) -> MetaLearner:
    """Fit a linear head to each support by ridge regression, differentiated in closed form.

    A column of ones is added to the features. Outputs are ``scale * features W``; the regularizer's
    strength and the scale are learned. (Bertinetto et al. 2019, arXiv 1805.08136, eq. 4 to 6.)

    Args:
      network: the features, ``inputs[n, ...] -> [n, features]``.
      loss: ``loss(outputs, targets) -> scalar``, of the query.
      ways: classes, integer targets are regressed as one-hot rows and outputs are logits; None for
        float targets ``[n, k]``.
      log_strength: where the strength's logarithm starts.
      scale: where the scale starts; for classification, where outputs stay between 0 and 1, larger.

    Returns:
      A learner whose ``adapted`` is ``W``, ``[features + 1, ways or k]``, and whose meta-parameters
      are :class:`RidgeParams`.

    Raises:
      ConfigError: fewer than 2 ways.

    Examples:
      >>> import jax
      >>> from metajax.data import sinusoid_tasks
      >>> from metajax.learners import mean_squared_error, ridge
      >>> from metajax.nn import mlp
      >>> task = sinusoid_tasks(10, 10)(jax.random.key(0))
      >>> learner = ridge(mlp([8], 8), mean_squared_error)
      >>> params = learner.init(jax.random.key(1), task)
      >>> adapted = learner.adapt(params, task.support, jax.random.key(2))
      >>> learner.predict(params, adapted, task.query.inputs).shape
      (10, 1)
    """
    if ways is not None:
        check_ways(ways)

    def solve(
        features: Float[Array, "n d"], targets: Array, strength: Float[Array, ""]
    ) -> Float[Array, "d k"]:
        if ways is not None:
            targets = one_hot(targets, ways, features.dtype)
        return ridge_solution(features, targets, strength)

    return regularized_head(network, loss, solve, log_strength, scale, ways)


def regularized_head(
    network: Network,
    loss: Loss,
    solve: Callable[[Array, Array, Array], Array],
    log_strength: float,
    scale: float,
    ways: int | None,
) -> MetaLearner:
    """Make the learner of a linear head that is solved for, with a learned strength and scale.

    Args:
      network: the features.
      loss: of the query.
      solve: ``solve(features, targets, strength) -> head``, of features with a column of ones.
      log_strength: where the strength's logarithm starts.
      scale: where the scale of the outputs starts.
      ways: classes; None: targets are numbers.
    """
    network = embedding(network)
    features_of = with_ones(network)

    def init(key: Key[Array, ""], task: Task) -> RidgeParams:
        params = network.init(key, task.support.inputs)
        number = functools.partial(jnp.asarray, dtype=wide_dtype(params))
        return RidgeParams(params, number(log_strength), number(scale))

    def adapt(params: RidgeParams, support: Examples) -> Float[Array, "d k"]:
        features = features_of(params, support.inputs)
        return solve(features, support.targets, jnp.exp(params.log_strength))

    def predict(params: RidgeParams, head: Float[Array, "d k"], inputs: Any) -> Any:
        outputs = features_of(params, inputs) @ head
        return params.scale.astype(outputs.dtype) * outputs

    return embedding_learner(network, adapt, predict, loss, init, ways=ways)
