"""Generated networks for a condition that a person names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Key

from metajax.core import ConfigError, Network, Params, kind
from metajax.systems.base import Use
from metajax.systems.image_sets import image_pools
from metajax.systems.weights.generated import Generated, answering
from metajax.using import Told, check_no_steps, read_queries, tell_labels

Made = tuple[Network, Params]
"""A network and its weights."""
Giving = Callable[[Any, Any, int, int, Key[Array, ""]], Made]
"""``giving(run, condition, features, ways, key) -> (network, weights)``."""


def number_within(condition: Any, low: float, high: float, what: str) -> float:
    """Return a number in a range, as a person gave it.

    Args:
      condition: as it was given.
      low: the least.
      high: the largest.
      what: it is, in words.

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
    found = number_within(number, low, high, what)
    if found != round(found):
        raise ConfigError("support", number, what)
    return int(found)


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
        return answering(run.settings, network, weights, train.mean, factor, np.arange(ways))

    def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
        """Predict the images ``queries`` of an ``.npz`` file under its ``condition``.

        Raises:
          ConfigError: the file holds something else.
        """
        arrays = read_queries(path, target, "condition")
        queries, condition = arrays["queries"], arrays["condition"]
        generated = run.adapt(condition[()], steps=steps)
        found = generated.predict(queries)
        line = f"{len(queries)} images by a network for {condition.tolist()}"
        return tell_labels(found, queries, line, lambda: generated)

    return Use(adapt, files)
