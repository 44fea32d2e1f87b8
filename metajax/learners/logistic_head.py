"""A logistic-regression head, fitted by Newton's method on learned features (LR-D2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import (
    ConfigError,
    MetaLearner,
    Network,
    cross_entropy,
)
from metajax.learners.losses import Loss, one_hot
from metajax.learners.metric import check_ways
from metajax.learners.ridge_head import regularized_head
from metajax.nn import positive_solve

LEAST_CURVATURE = 1e-4
"""Least ``p (1 - p)`` of an example: Newton's method divides by it."""


def logistic_solution(
    features: Float[Array, "n d"],
    targets: Float[Array, "n k"],
    strength: Float[Array, ""],
    steps: int,
) -> Float[Array, "d k"]:
    """Return ``k`` logistic regressions after ``steps`` steps of Newton's method from 0.

    Column ``c`` of the result moves toward the ``w`` that minimizes ``sum_i log(1 + exp(x_i w)) -
    targets_ic x_i w + strength |w|^2 / 2``. A step is a weighted ridge regression (iteratively
    reweighted least squares), which is solved for the examples where they are fewer than the
    features: ``min(n, d)`` equations. By a Cholesky factor: QR of each step would take four to
    seven times as long, and steps correct each other's rounding.

    Args:
      features: a row for each example.
      targets: 0 or 1, a column for each regression.
      strength: the regularizer's weight, above 0.
      steps: of Newton's method.
    """
    n, d = features.shape
    wide = np.promote_types(features.dtype, np.float32)  # there are no solvers below float32
    x, lam = features.astype(wide), jnp.asarray(strength, wide)

    def step(w: Float[Array, " d"], y: Float[Array, " n"]) -> Float[Array, " d"]:
        at = x @ w
        p = jax.nn.sigmoid(at)
        curvature = jnp.maximum(p * (1 - p), LEAST_CURVATURE)
        working = at + (y - p) / curvature
        if n < d:
            gram = x @ x.T + lam * jnp.diag(1 / curvature)
            return x.T @ positive_solve(gram, working[:, None])[:, 0]
        weighted = x * curvature[:, None]
        gram = x.T @ weighted + lam * jnp.eye(d, dtype=wide)
        return positive_solve(gram, weighted.T @ working[:, None])[:, 0]

    def one(y: Float[Array, " n"]) -> Float[Array, " d"]:
        start = jnp.zeros(d, wide)
        return jax.lax.scan(lambda w, _: (step(w, y), None), start, length=steps)[0]

    return jax.vmap(one, 1, 1)(targets.astype(wide)).astype(features.dtype)


def logistic(
    network: Network,
    *,
    ways: int,
    steps: int = 5,
    log_strength: float = 0.0,
    scale: float = 1.0,
    loss: Loss = cross_entropy,
) -> MetaLearner:
    """Fit a logistic head to each support by Newton's method, which is differentiated through.

    One regression for each class against the others; a column of ones is added to the features.
    Outputs are ``scale * features W``; the regularizer's strength and the scale are learned
    (Bertinetto et al. 2019, arXiv 1805.08136, section 3.2).

    Args:
      network: the features, ``inputs[n, ...] -> [n, features]``.
      ways: classes; targets are 0 to ``ways - 1``.
      steps: of Newton's method.
      log_strength: where the strength's logarithm starts.
      scale: where the scale starts.
      loss: ``loss(logits, targets) -> scalar``, of the query.

    Returns:
      A learner whose ``adapted`` is ``W``, ``[features + 1, ways]``, and whose meta-parameters are
      :class:`~metajax.learners.RidgeParams`.

    Raises:
      ConfigError: fewer than 2 ways or than 1 step.
    """
    check_ways(ways)
    if steps < 1:
        raise ConfigError("steps", steps, "1 step of Newton's method or more")

    def solve(
        features: Float[Array, "n d"], targets: Array, strength: Float[Array, ""]
    ) -> Float[Array, "d ways"]:
        return logistic_solution(features, one_hot(targets, ways, features.dtype), strength, steps)

    return regularized_head(network, loss, solve, log_strength, scale, ways)
