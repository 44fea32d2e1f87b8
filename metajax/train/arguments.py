"""The arguments of ``fit``, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import jax
import jax.numpy as jnp

from metajax.core import ConfigError, Evaluator, HostFed, check_key, kind


def checked_evaluators(evaluators: Any) -> tuple[Evaluator, ...]:
    """Return evaluators as a tuple.

    Raises:
      ConfigError: one is none.
    """
    if isinstance(evaluators, Evaluator) or not isinstance(evaluators, Sequence):
        raise ConfigError("evaluators", kind(evaluators), "a sequence of Evaluators")
    for index, evaluator in enumerate(evaluators):
        if not isinstance(evaluator, Evaluator):
            raise ConfigError(
                f"evaluators[{index}]", kind(evaluator), "an Evaluator(name, every, function)"
            )
    return tuple(evaluators)


def check_counts(counts: Mapping[str, Any]) -> None:
    """Reject arguments, by name, that are not whole numbers of 1 or more.

    Raises:
      ConfigError: one is not.
    """
    for name, value in counts.items():
        if not isinstance(value, Integral) or value < 1:
            raise ConfigError(name, value, "a whole number of 1 or more")


def check_run_key(key: Any) -> None:
    """Reject what is not one typed key, or one whose draws depend on the layout.

    Raises:
      ConfigError: it is not.
    """
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape:
        raise ConfigError("key", key, "one typed key, e.g. jax.random.key(0)")
    check_key("key", key)


def check_tasks(tasks: Any) -> None:
    """Reject tasks that cannot be called, or whose arrays are not leaves of a pytree.

    Raises:
      ConfigError: they cannot.
    """
    sampled = tasks.assemble if isinstance(tasks, HostFed) else tasks
    if not callable(sampled) or any(leaf is sampled for leaf in jax.tree.leaves(sampled)):
        raise ConfigError(
            "tasks",
            kind(sampled),
            "a callable pytree, whose arrays are its leaves: a registered dataclass with a "
            "__call__, or jax.tree_util.Partial(function, *arrays)",
        )
