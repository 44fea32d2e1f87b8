"""The losses of regression and of classes, and how a learner's outputs are scored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Integer

from metajax.core import ConfigError, Metrics, accuracy, valid_labels

Loss = Callable[[Any, Any], Float[Array, ""]]
"""``loss(outputs, targets) -> scalar``."""


def mean_squared_error(
    outputs: Float[Array, "*shape"], targets: Float[Array, "*shape"]
) -> Float[Array, ""]:
    """Return the mean of the squared differences.

    Args:
      outputs: predictions.
      targets: what they should be, of the same shape.

    Raises:
      ConfigError: the shapes differ; broadcasting would compare every output with every target.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.learners import mean_squared_error
      >>> float(mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])))
      2.0
      >>> mean_squared_error(jnp.zeros(3), jnp.zeros((3, 1)))
      Traceback (most recent call last):
          ...
      metajax.core.errors.ConfigError: targets = (3, 1): expected the shape of the outputs, (3,)
    """
    if outputs.shape != targets.shape:
        raise ConfigError("targets", targets.shape, f"the shape of the outputs, {outputs.shape}")
    return jnp.mean(jnp.square(outputs - targets))


def one_hot(
    labels: Integer[Array, "*examples"], ways: int, dtype: Any
) -> Float[Array, "*examples ways"]:
    """Return a row for each label, 1 at its class and 0 elsewhere; NaN for one that is no class.

    Raises:
      ConfigError: labels are known, and not all of them are classes.
    """
    valid = valid_labels(labels, ways, "support.targets")
    return jnp.where(valid[..., None], jax.nn.one_hot(labels, ways, dtype=dtype), jnp.nan)


def _are_logits(outputs: Array, targets: Array) -> bool:
    """Whether outputs can be logits of targets; whole numbers may be regressed, too."""
    return outputs.shape[:-1] == targets.shape and outputs.shape[-1:] > (1,)


def loss_and_metrics(loss: Loss, outputs: Any, targets: Any) -> tuple[Float[Array, ""], Metrics]:
    """Return the loss, and ``query_loss``, the same; with integer targets ``accuracy`` too.

    Both are NaN where outputs are not finite, or a traced target is no class.
    """
    value = loss(outputs, targets)
    metrics: Metrics = {"query_loss": value}
    arrays = isinstance(targets, jax.Array | np.ndarray) and isinstance(outputs, jax.Array)
    if arrays and jnp.issubdtype(targets.dtype, jnp.integer) and _are_logits(outputs, targets):
        metrics["accuracy"] = accuracy(outputs, targets)
    return value, metrics
