"""Task distributions that depend on how far training is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Int32, Integer, Key

from metajax.core.dataclass_trees import register_dataclass
from metajax.core.types import TaskDistribution


@register_dataclass
@dataclass(frozen=True)
class Staged:
    """A task distribution that depends on how far training is: ``tasks(key, step) -> Task``.

    The training loop tells it from one of a key alone by this type. It gives it the number of the
    meta-step, counted from 0, which it also draws the step's keys by: a resumed run draws what the
    run never stopped would have drawn, and no state is kept. Parameters are made from a task of
    step 0; tasks of all steps have the same shapes.

    Attributes:
      draw: ``draw(key, step) -> Task``, a callable pytree, pure and traceable, as a task
        distribution is: arrays that it draws from are its leaves. ``step`` is a traced ``int32``.
    """

    draw: Callable[[Key[Array, ""], Int32[Array, ""]], Any]

    def __call__(self, key: Key[Array, ""], step: int | Integer[Array, ""], /) -> Any:
        return self.draw(key, jnp.asarray(step, jnp.int32))


@register_dataclass
@dataclass(frozen=True)
class _AtStep:
    """What a staged distribution draws at one step, as a distribution of a key alone."""

    tasks: Staged
    step: Int32[Array, ""]

    def __call__(self, key: Key[Array, ""]) -> Any:
        return self.tasks(key, self.step)


def at_step(tasks: Any, step: int | Integer[Array, ""] = 0) -> TaskDistribution:
    """Return the distribution that the tasks of one step are drawn from.

    Args:
      tasks: a task distribution, :class:`Staged` or of a key alone.
      step: of the run, counted from 0; it may be traced.

    Returns:
      A task distribution of a key alone: ``tasks`` itself where they depend on no step.
    """
    if not isinstance(tasks, Staged):
        return tasks
    return _AtStep(tasks, jnp.asarray(step, jnp.int32))
