"""The two usual losses, and how a learner's outputs are scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Integer

from metajax.core import Metrics

Loss = Callable[[Any, Any], Float[Array, ""]]
"""``loss(outputs, targets) -> scalar``."""


def mean_squared_error(
    outputs: Float[Array, "*shape"], targets: Float[Array, "*shape"]
) -> Float[Array, ""]:
    """Return the mean of the squared differences."""
    chex.assert_equal_shape([outputs, targets])
    return jnp.mean(jnp.square(outputs - targets))


def cross_entropy(
    outputs: Float[Array, "*examples classes"], targets: Integer[Array, "*examples"]
) -> Float[Array, ""]:
    """Return the mean negative log-probability of integer ``targets``; ``outputs`` are logits."""
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, targets))


def score(loss: Loss, outputs: Any, targets: Any) -> tuple[Float[Array, ""], Metrics]:
    """Return the loss, and ``query_loss``, the same; with integer targets ``accuracy`` too."""
    value = loss(outputs, targets)
    metrics: Metrics = {"query_loss": value}
    if isinstance(targets, jax.Array | np.ndarray) and jnp.issubdtype(targets.dtype, jnp.integer):
        correct = jnp.argmax(outputs, axis=-1) == targets
        metrics["accuracy"] = jnp.mean(correct.astype(value.dtype))
    return value, metrics
