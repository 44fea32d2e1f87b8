"""The average of parameters over the last steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.core import Algorithm, ConfigError, Params

START = 10
"""Of the first averages: after ``t`` steps the older ones count ``(1 + t) / (START + t)``."""


class AverageState(NamedTuple):
    """State of :func:`with_average`.

    Attributes:
      state: of the algorithm.
      average: of its parameters.
      done: steps done.
    """

    state: Any
    average: Params
    done: Int32[Array, ""]


def with_average(
    algorithm: Algorithm, decay: float | Float[Array, ""], *, after: int = 0
) -> Algorithm:
    """Make an algorithm give an exponential moving average of its parameters.

    In each step the average moves by ``1 - d`` of the way to the parameters. With ``t`` the steps
    since ``after``, ``d = min(decay, (1 + t) / (10 + t))``, as in the averages of TensorFlow. So
    what it started from is soon forgotten. Until ``after`` steps are done, it is the parameters as
    they are.

    Args:
      algorithm: any, with floating-point parameters; its training does not change.
      decay: of older parameters, at least 0 and below 1; 0: no average. It may be traced.
      after: steps before the average.

    Returns:
      The algorithm, with the average as its parameters.

    Raises:
      ConfigError: ``decay`` is not in its range, or ``after`` is below 0.
    """
    if not isinstance(decay, jax.Array) and not 0 <= decay < 1:
        raise ConfigError("decay", decay, "at least 0 and below 1")
    if after < 0:
        raise ConfigError("after", after, "0 or more")

    def init(key: Key[Array, ""], task: Any) -> AverageState:
        state = algorithm.init(key, task)
        return AverageState(state, algorithm.params(state), jnp.int32(0))

    def update(
        state: AverageState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[AverageState, dict[str, Any]]:
        new, metrics = algorithm.update(state.state, tasks, key, axis_name)
        done = state.done + 1
        since = (done - after).astype(jnp.float32)
        share = jnp.where(since > 0, jnp.minimum(decay, (1 + since) / (START + since)), 0.0)

        def move(average: Array, leaf: Array) -> Array:
            # what does not move keeps its bits, and so does all where nothing is averaged
            return jnp.where(share > 0, average + (1 - share) * (leaf - average), leaf)

        average = jax.tree.map(move, state.average, algorithm.params(new))
        return AverageState(new, average, done), metrics

    def at(state: AverageState, number: Int32[Array, ""]) -> AverageState:
        inner = state.state if algorithm.at is None else algorithm.at(state.state, number)
        return AverageState(inner, state.average, number)

    return Algorithm(init, update, lambda state: state.average, at=at)
