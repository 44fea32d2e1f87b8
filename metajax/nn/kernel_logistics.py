"""Multinomial logistic regression in a kernel's space, with left-out predictions of its own rows.

The prediction for a row from all other rows has no further cost: no row is fitted twice.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.nn.solves import inverse_factor

BOUND = 0.5
"""No curvature of the softmax's log-likelihood is larger (Böhning 1992)."""
LEAST_CURVATURE = 0.01
"""What a row counts for at least where its variance is taken, however sure its prediction is."""


class KernelLogistic(NamedTuple):
    """What was fitted to some rows.

    Attributes:
      weights: of a query's kernel values with the rows in its logits.
      whitener: inverse Cholesky factor behind the variances of queries.
      logits: of each row, predicted from all others.
      variances: of these, the same for every class.
    """

    weights: Float[Array, "rows classes"]
    whitener: Float[Array, "rows rows"]
    logits: Float[Array, "rows classes"]
    variances: Float[Array, " rows"]


def kernel_logistic(
    kernel: Float[Array, "rows rows"],
    targets: Float[Array, "rows classes"],
    known: Bool[Array, " rows"],
    *,
    steps: int = 20,
) -> KernelLogistic:
    """Fit Gaussian processes under a softmax by their most probable values.

    They maximize ``log softmax(f)[target] - f K^-1 f / 2`` summed over rows and classes: with the
    kernel ``C x x^T``, that is scikit-learn's multinomial ``LogisticRegression`` without intercept.
    The curvature is bounded from above by one matrix (Böhning 1992, doi 10.1007/BF00048682), so
    that one factorization serves all steps, which Nesterov's momentum speeds up. The prediction of
    a row from the others is the cavity of Laplace's approximation (Opper and Winther 2000, doi
    10.1162/089976600300014881), with one curvature for all classes of a row.

    Args:
      kernel: of the rows; those that are not ``known`` may hold anything.
      targets: one-hot labels. A class without a row counts as absent.
      known: which rows there are; the others are padding and change nothing.
      steps: how many times the values are improved. More matter where classes are far apart and the
        kernel is large.

    Returns:
      The fit; logits of absent classes are 0.
    """
    dtype = kernel.dtype
    here = known.astype(dtype)
    targets = targets * here[:, None]
    present = jnp.sum(targets, axis=0) > 0
    kernel = kernel * here[:, None] * here[None]
    size = here.shape[0]
    eye = jnp.eye(size, dtype=dtype)

    def slopes(values):  # 0 of absent classes, whose values stay 0
        return (targets - probabilities(values, present)) * here[:, None]

    bounded = inverse_factor(kernel + eye / BOUND)
    # turned once: a product with the transpose of a matrix reads it against its order at every step
    turned = bounded.T

    def step(state, momentum):
        _, values, earlier = state
        ahead = values + momentum * (values - earlier)
        pulled = ahead + slopes(ahead) / BOUND
        new = turned @ (bounded @ pulled)
        # (kernel + 1 / BOUND) new = pulled
        return (new, pulled - new / BOUND, values), None

    number = jnp.arange(steps, dtype=dtype)
    start = jnp.zeros_like(targets)
    (weights, values, _), _ = jax.lax.scan(step, (start,) * 3, number / (number + 3))

    likely = probabilities(values, present)
    others = jnp.maximum(jnp.sum(present, dtype=dtype) - 1, 1)
    curvature = jnp.maximum((1 - jnp.sum(likely**2, axis=1)) / others, LEAST_CURVATURE)
    whitener = inverse_factor(kernel + eye / curvature[:, None])
    variances = jnp.maximum(1 / jnp.sum(whitener**2, axis=0) - 1 / curvature, 0) * here
    left_out = values - variances[:, None] * slopes(values)
    return KernelLogistic(weights, whitener, left_out, variances)


def kernel_logistic_predict(
    fit: KernelLogistic, cross: Float[Array, "queries rows"], own: Float[Array, " queries"]
) -> tuple[Float[Array, "queries classes"], Float[Array, " queries"]]:
    """Predict queries.

    Args:
      fit: of :func:`kernel_logistic`.
      cross: kernel values of the queries with the rows, 0 for rows that are padding.
      own: kernel values of the queries with themselves.

    Returns:
      Their logits, and the variances of these.
    """
    variances = own - jnp.sum((cross @ fit.whitener.T) ** 2, axis=1)
    return cross @ fit.weights, jnp.maximum(variances, 0)


def probabilities(
    logits: Float[Array, "... classes"], present: Bool[Array, " classes"]
) -> Float[Array, "... classes"]:
    """Return the softmax over those classes that are present.

    Args:
      logits: a number for each class.
      present: whether a class is one.
    """
    return jax.nn.softmax(logits, axis=-1, where=present)
