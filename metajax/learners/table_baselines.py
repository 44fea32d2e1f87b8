"""Baselines on tables: class frequencies, and logistic regression on standardized features."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import Examples, MetaLearner, Params, Task
from metajax.learners.table_parts import (
    LEAST,
    Scales,
    labels_of,
    scales_of,
    table_learner,
)
from metajax.nn import kernel_logistic, probabilities

STEPS = 50
"""Steps of a solve."""
OFFSET = 10.0
"""Prior variance of the constant."""


class Linear(NamedTuple):
    """Logistic regression.

    Attributes:
      scales: how features are standardized.
      weights: of standardized features and, last, of a constant.
      prior: the classes' frequencies.
    """

    scales: Scales
    weights: Float[Array, "features_and_one classes"]
    prior: Float[Array, " classes"]


def nothing(key: Key[Array, ""], task: Task) -> Params:
    """Return no parameters."""
    return {}


def log_of(likely: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return logarithms of probabilities, which are finite."""
    return jnp.log(jnp.maximum(likely, LEAST))


def table_frequencies(classes: int) -> MetaLearner:
    """Predict the classes' frequencies in the support; nothing is meta-trained.

    Args:
      classes: length of the outputs.

    Returns:
      A learner of tables as :func:`table_reader` is one.

    Raises:
      ConfigError: fewer than 1 class.
    """

    def adapt(params: Params, support: Examples, key: Any) -> Float[Array, " classes"]:
        return labels_of(support.targets, classes, support.inputs.dtype).prior

    def predict(params: Params, prior: Float[Array, " classes"], inputs: Any) -> Any:
        return jnp.broadcast_to(log_of(prior)[None], (inputs.shape[0], classes))

    return table_learner(nothing, adapt, predict, classes)


def table_logistic(classes: int, *, strength: float = 1.0) -> MetaLearner:
    """Fit multinomial logistic regression to standardized features; nothing is meta-trained.

    Args:
      classes: length of the outputs.
      strength: prior variance of a weight, scikit-learn's ``C``.

    Returns:
      A learner of tables as :func:`table_reader` is one.

    Raises:
      ConfigError: fewer than 1 class.
    """

    def rows_of(inputs: Float[Array, "rows features"], scales: Scales) -> Any:
        rows = (inputs - scales.mean[None]) * scales.factor[None]
        return jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], axis=1)

    def adapt(params: Params, support: Examples, key: Any) -> Linear:
        labels = labels_of(support.targets, classes, support.inputs.dtype)
        inputs = jnp.where(labels.known[:, None], support.inputs, 0)
        scales = scales_of(inputs, labels.known)
        rows = jnp.where(labels.known[:, None], rows_of(inputs, scales), 0)
        variances = jnp.full(rows.shape[1:], strength, rows.dtype).at[-1].set(OFFSET)
        kernel = (rows * variances[None]) @ rows.T
        fit = kernel_logistic(kernel, labels.targets, labels.known, steps=STEPS)
        return Linear(scales, variances[:, None] * (rows.T @ fit.weights), labels.prior)

    def predict(params: Params, linear: Linear, inputs: Float[Array, "rows features"]) -> Any:
        logits = rows_of(inputs, linear.scales) @ linear.weights
        return log_of(probabilities(logits, linear.prior > 0))

    return table_learner(nothing, adapt, predict, classes)
