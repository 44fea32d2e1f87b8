"""The arguments of ``fit``, checked before anything is computed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import jax

from metajax.core import ConfigError, Evaluator, HostFed, Staged, kind


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


def check_tasks(tasks: Any) -> None:
    """Reject tasks that cannot be called, or whose arrays are not leaves of a pytree.

    Raises:
      ConfigError: they cannot, or take other arguments than a key; those of
        :class:`~metajax.core.Staged` a key and a step, of host-fed ones a key and the raw material.
    """
    call: tuple[str, ...]
    drawing, call, given = tasks, ("tasks", "key"), ""
    if isinstance(tasks, Staged):
        drawing, call, given = tasks.draw, ("draw", "key", "step"), "Staged of "
    elif isinstance(tasks, HostFed):
        drawing, call, given = tasks.assemble, ("assemble", "key", "raw"), "HostFed with "
    given += kind(drawing)
    called = f"{call[0]}({', '.join(call[1:])})"
    if isinstance(drawing, Staged):
        raise ConfigError("tasks", given, f"a callable pytree, called as {called}, in its place")
    fits = _takes(drawing, len(call) - 1)
    if drawing is tasks and not fits and _takes(tasks, 2):
        raise ConfigError(
            "tasks",
            f"{given}, of two arguments",
            "tasks(key), or, where they depend on the step, Staged(draw) of a callable pytree that "
            "is called as draw(key, step), e.g. Staged(jax.tree_util.Partial(function))",
        )
    if not callable(drawing) or any(leaf is drawing for leaf in jax.tree.leaves(drawing)):
        raise ConfigError(
            "tasks",
            given,
            "a callable pytree, whose arrays are its leaves: a registered dataclass with a "
            "__call__, or jax.tree_util.Partial(function, *arrays)",
        )
    if not fits:
        raise ConfigError("tasks", given, f"a callable pytree that is called as {called}")


def _takes(function: Any, count: int) -> bool:
    """Whether a call with so many arguments fits, as far as can be seen."""
    if inspect.isclass(function):
        return True  # what it makes is what would be called
    try:
        # what a decorator accepts may be other than what the function inside it does
        signature = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # no callable, or one of C
        return True
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True
