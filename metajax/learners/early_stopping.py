"""Networks as they were during training, of which held-out examples choose one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.core import Algorithm, ConfigError, Params


class SnapshotState(NamedTuple):
    """State of :func:`with_snapshots`.

    Attributes:
      state: of the algorithm.
      kept: parameters at each of the steps, stacked; zeros where they are still to come.
      done: steps done.
    """

    state: Any
    kept: Params
    done: Int32[Array, ""]


class Snapshots(NamedTuple):
    """Parameters of :func:`with_snapshots`.

    Attributes:
      last: as they are now.
      kept: as they were after each of the steps, stacked.
      taken: which of these steps are done.
    """

    last: Params
    kept: Params
    taken: Bool[Array, " snapshots"]


def snapshot_steps(steps: int, number: int) -> list[int]:
    """Return steps for :func:`with_snapshots`, close together where networks change fast.

    The last one is the end of the training, and each other one is after 0.71 times the steps of the
    next: few, as each is a copy of the network in the state.

    Args:
      steps: of the training.
      number: of snapshots; short trainings have fewer.

    Examples:
      >>> from metajax.learners import snapshot_steps
      >>> snapshot_steps(100, 5)
      [25, 35, 50, 71, 100]
    """
    return sorted({max(round(steps / 2 ** (index / 2)), 1) for index in range(number)})


def with_snapshots(algorithm: Algorithm, steps: Sequence[int]) -> Algorithm:
    """Make an algorithm keep its parameters as they were after some steps.

    Args:
      algorithm: any; its training does not change.
      steps: ascending, the first 1 or more.

    Returns:
      The algorithm, whose parameters are :class:`Snapshots`.

    Raises:
      ConfigError: there are no steps, or they do not ascend.
    """
    if not steps or list(steps) != sorted(set(steps)) or steps[0] < 1:
        raise ConfigError("steps", list(steps), "ascending steps, the first 1 or more")

    def at() -> Int32[Array, " snapshots"]:
        return jnp.asarray(steps, jnp.int32)

    def init(key: Key[Array, ""], task: Any) -> SnapshotState:
        state = algorithm.init(key, task)
        kept = jax.tree.map(
            lambda leaf: jnp.zeros((len(steps), *leaf.shape), leaf.dtype), algorithm.params(state)
        )
        return SnapshotState(state, kept, jnp.int32(0))

    def update(
        state: SnapshotState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[SnapshotState, dict[str, Any]]:
        after, metrics = algorithm.update(state.state, tasks, key, axis_name)
        done = state.done + 1
        now = at() == done
        here, hit = jnp.argmax(now), jnp.any(now)

        def put(kept: Array, leaf: Array) -> Array:
            return kept.at[here].set(jnp.where(hit, leaf, kept[here]))

        kept = jax.tree.map(put, state.kept, algorithm.params(after))
        return SnapshotState(after, kept, done), metrics

    def params(state: SnapshotState) -> Snapshots:
        return Snapshots(algorithm.params(state.state), state.kept, at() <= state.done)

    return Algorithm(init, update, params)


def stopped_early(
    snapshots: Snapshots, score: Callable[[Params], Float[Array, ""]]
) -> tuple[Params, Int32[Array, ""]]:
    """Return the parameters of the best snapshot, the first of several equal ones.

    Args:
      snapshots: of a training with :func:`with_snapshots`.
      score: ``score(params) -> number`` on held-out examples; more is better.

    Returns:
      The parameters, and which snapshot they are. Before the first one, the parameters are those of
      now.
    """
    scores = jnp.where(snapshots.taken, jax.lax.map(score, snapshots.kept), -jnp.inf)
    best = jnp.argmax(scores).astype(jnp.int32)
    any_taken = jnp.any(snapshots.taken)
    chosen = jax.tree.map(
        lambda kept, last: jnp.where(any_taken, kept[best], last), snapshots.kept, snapshots.last
    )
    return chosen, best
