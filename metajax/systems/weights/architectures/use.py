"""A generated start for an architecture that a person names."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from metajax.core import ConfigError, kind
from metajax.hypernet import MLPShape
from metajax.systems.weights.architectures.problem import padded
from metajax.systems.weights.condition_use import Made, use_of


def of_shape(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """Give a start for a multi-layer perceptron; see :func:`use_of`."""
    shape = _shape(condition)
    target = padded(features, ways, run.settings.layers, run.settings.widest)
    architecture = jax.tree.map(lambda leaf: leaf[0], target.architectures([shape]))
    weights, _ = run.learner.adapt(run.params, architecture, key)
    return target.alone(weights, shape)


def _shape(condition: Any) -> MLPShape:
    """An architecture: sizes of hidden layers, or an ``MLPShape``.

    Raises:
      ConfigError: it is something else.
    """
    if isinstance(condition, MLPShape):
        return condition
    array = np.asarray(condition) if isinstance(condition, tuple | list | np.ndarray) else None
    if array is None or array.ndim != 1 or array.dtype.kind not in "iu" or not len(array):
        expected = "sizes of hidden layers, such as (64, 32), or an MLPShape"
        raise ConfigError("support", kind(condition), expected)
    return MLPShape(tuple(int(size) for size in array), "relu")


use = use_of(of_shape)
"""How predicted starts are used: an architecture is named."""
