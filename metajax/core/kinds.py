"""What a person gave where something else was expected, in words."""

from __future__ import annotations

import inspect
from typing import Any

import jax
import numpy as np
import optax

from metajax.core.errors import ConfigError
from metajax.core.staged import Staged
from metajax.core.types import (
    Algorithm,
    Evaluator,
    Examples,
    Follow,
    HostFed,
    MetaLearner,
    Network,
    SequenceNetwork,
    Task,
)

_NOUNS = (
    Algorithm,
    Evaluator,
    Examples,
    HostFed,
    MetaLearner,
    Network,
    SequenceNetwork,
    Staged,
    Task,
)
_FOREIGN = {
    "flax.linen": "a Flax Linen module",
    "flax.nnx": "a Flax NNX module",
    "equinox": "an Equinox module",
}
_MADE_BY = {
    "flax.linen": "from_linen(module)",
    "flax.nnx": "from_nnx(Module, *arguments)",
    "equinox": "from_equinox(lambda key: Module(..., key=key))",
}


def described(array: Any) -> str:
    """Return an array's dtype and shape, ``float32[5, 28]``; of a tree those of all its leaves.

    Args:
      array: an array, or a tree of arrays.
    """
    leaves = jax.tree.leaves(array)
    shown = [
        f"{leaf.dtype}{list(leaf.shape)}" if hasattr(leaf, "shape") else type(leaf).__name__
        for leaf in leaves
    ]
    return ", ".join(shown) if shown else kind(array)


def library(value: Any) -> str | None:
    """Return whose module a value is, or a class of modules: ``flax.linen``, ``flax.nnx``, ...

    Args:
      value: anything.
    """
    for base in (value if inspect.isclass(value) else type(value)).__mro__:
        for name in _FOREIGN:
            if base.__module__ == name or base.__module__.startswith(f"{name}."):
                return name
    return None


def kind(value: Any) -> str:
    """Return what a value is, in words: ``a MetaLearner``, ``an optax optimizer``, ``a list``.

    Args:
      value: anything.
    """
    if value is None:
        return "None"
    if inspect.isclass(value):
        return f"the class {value.__name__}"
    if isinstance(value, optax.GradientTransformation):
        return "an optax optimizer"
    if isinstance(value, jax.Array | np.ndarray):
        return described(value)
    if isinstance(value, _NOUNS):
        return _with_article(type(value).__name__)
    if (of := library(value)) is not None:
        return f"{_FOREIGN[of]} {type(value).__name__}"
    if inspect.isroutine(value):
        return f"the function {getattr(value, '__name__', value)}"
    return _with_article(type(value).__name__)


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOaeio' else 'a'} {name}"


def _has(value: Any, *names: str) -> bool:
    """Whether a value, and not a class, has functions of these names."""
    functions = (getattr(value, name, None) for name in names)
    return not inspect.isclass(value) and all(map(callable, functions))


def check_learner(value: Any, field: str = "learner") -> None:
    """Raise where a value is not a meta-learner.

    Args:
      value: what is checked.
      field: the name that an error gives it.

    Raises:
      ConfigError: it has no ``init``, ``adapt``, ``predict`` and ``loss``.
    """
    if isinstance(value, MetaLearner) or _has(value, "init", "adapt", "predict", "loss"):
        return
    inside = isinstance(getattr(value, "meta", None), MetaLearner)
    raise ConfigError(
        field, kind(value), "a MetaLearner" + (f": its .meta, {field}.meta" if inside else "")
    )


def follow_of(learner: Any, field: str = "learner") -> Follow:
    """Return the ``follow`` of a learner that adapts in steps.

    Args:
      learner: a meta-learner.
      field: the name that an error gives it.

    Raises:
      ConfigError: it is no meta-learner, or has no ``follow``.
    """
    check_learner(learner, field)
    follow = getattr(learner, "follow", None)
    if follow is None:
        raise ConfigError(field, f"{kind(learner)} without follow", "one that adapts in steps")
    return follow


def check_algorithm(value: Any, field: str = "algorithm") -> None:
    """Raise where a value is not an algorithm.

    Args:
      value: what is checked.
      field: the name that an error gives it.

    Raises:
      ConfigError: it has no ``init``, ``update`` and ``params``.
    """
    if isinstance(value, Algorithm) or _has(value, "init", "update", "params"):
        return
    learner = _has(value, "adapt", "loss") or isinstance(getattr(value, "meta", None), MetaLearner)
    known = _has(value, "init", "update")  # an optimizer
    advice = ": gradient(learner, optimizer) makes one" if learner or known else ""
    raise ConfigError(field, kind(value), f"an Algorithm{advice}")


def check_optimizer(value: Any, field: str = "optimizer") -> None:
    """Raise where a value is not an optax optimizer.

    Args:
      value: what is checked.
      field: the name that an error gives it.

    Raises:
      ConfigError: it has no ``init`` and ``update``, or is an algorithm.
    """
    if not _has(value, "init", "update") or isinstance(value, Algorithm):
        shown = value if isinstance(value, int | float) else kind(value)  # a bare learning rate
        raise ConfigError(field, shown, "an optax optimizer, e.g. optax.adam(1e-3)")


def check_network(value: Any, field: str = "network") -> None:
    """Raise where a value is not a network of pure functions.

    Args:
      value: what is checked.
      field: the name that an error gives it.

    Raises:
      ConfigError: it has no ``init`` and ``apply``, or it is another library's module.
    """
    of = library(value)
    if of is not None:
        raise ConfigError(field, kind(value), f"a Network: metajax.nn.{_MADE_BY[of]} makes one")
    if not _has(value, "init", "apply"):
        raise ConfigError(field, kind(value), "a Network(init, apply)")
