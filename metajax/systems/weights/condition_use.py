"""Generated networks for a condition that a person names: an angle, a width, an architecture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core import ConfigError, Network, Params, kind
from metajax.hypernet import MLPShape
from metajax.nn import mlp
from metajax.systems.base import Use
from metajax.systems.image_sets import image_pools
from metajax.systems.using.adapted import Told, check_no_steps
from metajax.systems.using.given import FIELD, read_arrays
from metajax.systems.weights.generated import Generated, answering, by_number, tell_numbered
from metajax.systems.weights.problem import padded
from metajax.units import mlp_units, take_units, unit_norms

Made = tuple[Network, Params]
"""A network and its weights."""
Giving = Callable[[Any, Any, int, int, Key[Array, ""]], Made]
"""``giving(run, condition, features, ways, key) -> (network, weights)``."""
ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
"""Activations of architectures, by name."""


def _number(condition: Any, low: float, high: float, what: str) -> float:
    """A number in a range, as a person gave it.

    Raises:
      ConfigError: it is something else.
    """
    array = np.asarray(condition) if not isinstance(condition, tuple | list) else np.empty(0)
    if array.shape != () or array.dtype.kind not in "iuf" or not low <= array <= high:
        said = condition if array.shape == () else kind(condition)
        raise ConfigError("support", said, f"{what} from {low:g} to {high:g}")
    return float(array)


def whole_number(number: Any, low: int, high: int, what: str) -> int:
    """Return a whole number in a range, as a person gave it.

    Args:
      number: as it was given.
      low: the least.
      high: the largest.
      what: it is, in words.

    Raises:
      ConfigError: it is something else.
    """
    found = _number(number, low, high, what)
    if found != round(found):
        raise ConfigError("support", number, what)
    return int(found)


def _of_angle(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """A network for images that are turned by so many degrees."""
    most, of = run.settings.most_turn, run.settings
    angle = _number(condition, -most, most, "an angle in degrees")
    place = jnp.array([(angle / most + 1) / 2], jnp.float32)
    network = mlp((of.width,) * of.layers, ways)
    return network, run.learner.adapt(run.params, place, key)


def _of_width(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """A network with so many units in its middle hidden layer."""
    of = run.settings
    width = whole_number(condition, 1, of.width, "a width in whole units")
    weights = run.learner.adapt(run.params, jnp.int32(width), key)
    # units that are left out are zeros, wherever they stand; a person has no use for them
    middle, units = of.layers // 2, mlp_units(weights)
    name = f"h{middle}"
    living = jnp.sort(jnp.argsort(-unit_norms(weights, units)[name])[:width])
    weights = take_units(weights, units, {name: living})
    sizes = [of.width] * of.layers
    sizes[middle] = width
    return mlp(tuple(sizes), ways), weights


def _of_shape(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """A start for a multi-layer perceptron."""
    shape = _shape(condition)
    target = padded(features, ways, run.settings.layers, run.settings.widest)
    architecture = jax.tree.map(lambda leaf: leaf[0], target.architectures([shape]))
    weights, _ = run.learner.adapt(run.params, architecture, key)
    sizes = [features, *shape.widths, ways]
    slots = [*(f"layer_{number}" for number in range(len(shape.widths))), "head"]
    cut = {
        f"Dense_{number}": {
            "kernel": weights[slot]["kernel"][:rows, :columns],
            "bias": weights[slot]["bias"][:columns],
        }
        for number, (slot, rows, columns) in enumerate(zip(slots, sizes, sizes[1:], strict=False))
    }
    return mlp(shape.widths, ways, ACTIVATIONS[shape.activation]), cut


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


def use_of(giving: Giving) -> Use:
    """Return how runs of a condition are used: a person names one and gets a network.

    Args:
      giving: makes it.
    """

    def adapt(run: Any, support: Any, key: Key[Array, ""], steps: int | None) -> Generated:
        """Give the network for a condition; the set of the training is read, for its statistics.

        Raises:
          ConfigError: the condition is not one of the run's, or ``steps`` are asked for.
          MissingDataError: the set is not on disk.
        """
        check_no_steps(steps)
        train, _ = image_pools(run.settings, run.data_dir)
        ways = train.num_classes
        network, weights = giving(run, support, train.num_features, ways, key)
        factor = 1 / np.asarray(train.std)
        return answering(run.settings, network, weights, train.mean, factor, by_number(ways))

    def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
        """Predict the images ``queries`` of an ``.npz`` file under its ``condition``.

        Raises:
          ConfigError: the file holds something else.
        """
        if target is not None or path.suffix.lower() != ".npz":
            expected = "an .npz file of a `condition` and of images `queries`, and no --target"
            raise ConfigError(FIELD, str(path), expected)
        arrays = read_arrays(path, "condition", "queries")
        queries, condition = arrays["queries"], arrays["condition"]
        generated = run.adapt(condition[()], steps=steps)
        found = generated.predict(queries)
        line = f"{len(queries)} images by a network for {condition.tolist()}"
        return tell_numbered(queries, found, line, generated)

    return Use(adapt, files)


use_angle, use_width, use_shape = map(use_of, (_of_angle, _of_width, _of_shape))
