"""Ridge regression on kernels: after every prefix of a sequence, or on a set."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.nn.solves import cholesky, inverse_factor, triangular_solve


class Predicted(NamedTuple):
    """Predictions of a Gaussian process, which are those of a ridge regression on its kernel.

    Attributes:
      mean: the predictions.
      variance: their predictive variances, the noise of a target (the ridge) included; all
        targets of an input share one.
    """

    mean: Float[Array, "*batch n targets"]
    variance: Float[Array, "*batch n"]


def _rows(array: Array, ndim: int) -> Array:
    """Array ``[*batch]`` with axes of size 1 at its end."""
    return array.reshape(*array.shape, *(1,) * ndim)


def _ridged(kernel: Array, ridge: Array) -> Array:
    eye = jnp.eye(kernel.shape[-1], dtype=kernel.dtype)
    return kernel + _rows(ridge, 2) * eye.reshape((1,) * (kernel.ndim - 2) + eye.shape)


def causal_ridge(
    kernel: Float[Array, "*batch n n"],
    targets: Float[Array, "*batch n k"],
    ridge: Float[Array, "*batch"],
) -> Predicted:
    """Predict each target of a sequence from the examples before it, by one factorization.

    With ``K + ridge I = L L^T``, the leading rows of ``L`` are the factor of each prefix. The
    prediction for input ``i`` from the examples before it is row ``i`` of (the strictly lower part
    of ``L``) times ``L^-1 Y``. Its predictive variance is ``L_ii ** 2`` (Rasmussen and Williams
    2006, Gaussian Processes for Machine Learning, equations 2.25 and 2.26 and algorithm 2.1).

    Args:
      kernel: of the inputs with each other.
      targets: a row for each input.
      ridge: the regularizer's weight, or the variance of a target's noise, above 0.

    Returns:
      For each position what the examples before it predict; at the first 0 and the prior variance.
    """
    factor = cholesky(_ridged(kernel, ridge))
    mean = jnp.tril(factor, -1) @ triangular_solve(factor, targets)
    return Predicted(mean, jnp.diagonal(factor, axis1=-2, axis2=-1) ** 2)


class SetPredicted(NamedTuple):
    """What the known examples of a set say of each of them without it, and of new inputs.

    Attributes:
      own: leave-one-out predictions for the examples; 0 and 1 for those that are not known.
      new: predictions for the queries.
    """

    own: Predicted
    new: Predicted


def set_ridge(
    kernel: Float[Array, "*batch n n"],
    cross: Float[Array, "*batch q n"],
    prior: Float[Array, "*batch q"],
    targets: Float[Array, "*batch n k"],
    ridge: Float[Array, "*batch"],
    known: Bool[Array, "*batch n"] | None = None,
) -> SetPredicted:
    """Predict queries from a set of examples, and each of the examples from the others.

    All of it by one inverse ``A`` of ``K + ridge I``: what the others predict for example ``i`` is
    ``y_i - (A y)_i / A_ii`` with variance ``1 / A_ii`` (Sundararajan and Keerthi 2001; Rasmussen
    and Williams 2006, section 5.4.2).

    Args:
      kernel: of the examples with each other.
      cross: of the queries with the examples.
      prior: of each query with itself.
      targets: a row for each example.
      ridge: the regularizer's weight, or the variance of a target's noise, above 0.
      known: which examples there are, the others are left out; None: all.

    Returns:
      Predictions with variances that include the noise of a target.
    """
    if known is not None:
        exists = known.astype(kernel.dtype)
        kernel = kernel * exists[..., :, None] * exists[..., None, :]
        cross, targets = cross * exists[..., None, :], targets * exists[..., None]
    root = inverse_factor(_ridged(kernel, ridge))  # A = root^T root
    weights = jnp.swapaxes(root, -1, -2) @ (root @ targets)
    precision = jnp.sum(root**2, axis=-2)
    own = Predicted(targets - weights / precision[..., None], 1 / precision)
    explained = jnp.sum((root @ jnp.swapaxes(cross, -1, -2)) ** 2, axis=-2)
    variance = prior + _rows(ridge, 1) - explained
    # rounding must not make a variance of what is known for sure negative
    return SetPredicted(own, Predicted(cross @ weights, jnp.maximum(variance, _rows(ridge, 1))))
