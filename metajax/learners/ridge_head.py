"""A ridge-regression head in closed form on learned features (R2-D2)."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
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


class RidgeParams(NamedTuple):
    """Meta-parameters of :func:`ridge`.

    Attributes:
      network: the features'.
      log_strength: logarithm of the regulariser's weight.
      scale: what the regression's outputs are multiplied by.
    """

    network: Params
    log_strength: Float[Array, ""]
    scale: Float[Array, ""]


def ridge_solution(
    features: Float[Array, "n d"], targets: Float[Array, "n k"], strength: Float[Array, ""]
) -> Float[Array, "d k"]:
    """Return the ``W`` that minimises ``|features W - targets|^2 + strength |W|^2``.

    Solves for the examples where they are fewer than the features, by the Woodbury identity, and
    for the features otherwise: ``min(n, d)`` equations.
    """
    n, d = features.shape
    wide = np.promote_types(features.dtype, np.float32)  # there are no solvers below float32
    x, y = features.astype(wide), targets.astype(wide)
    gram = x @ x.T if n < d else x.T @ x
    gram = gram + jnp.asarray(strength, wide) * jnp.eye(min(n, d), dtype=wide)

    def solve(right):
        return jax.scipy.linalg.solve(gram, right, assume_a="pos")

    solution = x.T @ solve(y) if n < d else solve(x.T @ y)
    return solution.astype(features.dtype)


def ridge(
    network: Network,
    loss: Loss,
    *,
    ways: int | None = None,
    log_strength: float = 0.0,
    scale: float = 1.0,
) -> MetaLearner:
    """Fit a linear head to each support by ridge regression, differentiated in closed form.

    A column of ones is added to the features. Outputs are ``scale * features W``; the regulariser's
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
    """
    if ways is not None:
        check_ways(ways)
    network = embedding(network)

    def init(key: Key[Array, ""], task: Task) -> RidgeParams:
        params = network.init(key, task.support.inputs)
        number = functools.partial(jnp.asarray, dtype=wide_dtype(params))
        return RidgeParams(params, number(log_strength), number(scale))

    def features_of(params: RidgeParams, inputs: Any) -> Float[Array, "n d"]:
        check_type("params", params, RidgeParams)
        features = network.apply(params.network, inputs)
        return jnp.concatenate([features, jnp.ones_like(features[:, :1])], axis=-1)

    def adapt(params: RidgeParams, support: Examples) -> Float[Array, "d k"]:
        features, targets = features_of(params, support.inputs), support.targets
        if ways is not None:
            targets = one_hot(targets, ways, features.dtype)
        return ridge_solution(features, targets, jnp.exp(params.log_strength))

    def predict(params: RidgeParams, head: Float[Array, "d k"], inputs: Any) -> Any:
        outputs = features_of(params, inputs) @ head
        return params.scale.astype(outputs.dtype) * outputs

    return embedding_learner(network, adapt, predict, loss, init, ways=ways)
