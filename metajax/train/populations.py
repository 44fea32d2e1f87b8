"""Many runs of one algorithm as one compiled program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32, Key, PyTree, Shaped

from metajax.core import (
    Algorithm,
    ConfigError,
    HostFed,
    at_step,
    check_key,
    derive,
    register_dataclass,
    task_keys,
)
from metajax.train.arguments import check_tasks
from metajax.train.step import is_finite

MEMBER = "runs/"
"""Metrics of this prefix hold one value per member."""


class PopulationState(NamedTuple):
    """What the members of a population carry.

    Attributes:
      step: meta-steps done.
      members: the algorithms' states, each leaf with a leading axis ``k`` of members.
      failed_at: the first step of each member that was not finite, counted from 0; -1 where there
        is none. From there on a member keeps the state before it.
    """

    step: Int32[Array, ""]
    members: PyTree
    failed_at: Int32[Array, " k"]


@register_dataclass
@dataclass(frozen=True)
class Held:
    """The members' settings, keys and tasks, as a task distribution that draws nothing.

    The loop passes a distribution's arrays to the compiled steps as arguments: a population's reach
    them by this way, and :func:`population` draws each member's tasks from them itself.
    """

    values: dict[str, Shaped[Array, " k"]]
    keys: Key[Array, " k"]
    differing: list[Shaped[Array, "k ..."]]
    shared: list[Shaped[Array, "..."]]

    def __call__(self, key: Key[Array, ""]) -> Held:
        return self


def population(
    make: Callable[[Mapping[str, Any]], Algorithm],
    values: Mapping[str, Shaped[Array, " k"]],
    keys: Key[Array, " k"],
    tasks: Sequence[Any],
    *,
    tasks_per_step: int,
) -> tuple[Algorithm, Held]:
    """Make one algorithm of ``k`` members for :func:`fit`, each the run that it would be alone.

    Member ``i`` draws what ``fit(make(values_i), tasks[i], tasks_per_step=tasks_per_step,
    key=keys[i])`` draws, so its state is that run's, to rounding. Give the two results to
    :func:`fit` with ``tasks_per_step=1``.

    Args:
      make: ``make(values) -> algorithm`` of one member, from traced scalars.
      values: what members differ in, other than their keys; one number each.
      keys: the members' keys.
      tasks: the members' task distributions, sampled on the device, of one structure and shapes;
        a leaf that is the same in all is held once.
      tasks_per_step: tasks of each member's meta-step.

    Metrics: ``loss``, the mean over members that have not failed; every metric of the members,
    under ``runs/NAME``, ``[k]``.

    Returns:
      The algorithm and its tasks.

    Raises:
      ConfigError: no member, tasks that draw nothing, are host-fed or of different structures, or
        keys that :func:`metajax.core.check_key` rejects.
    """
    check_key("keys", keys)
    if not tasks:
        raise ConfigError("tasks", tasks, "one member or more")
    if any(isinstance(one, HostFed) for one in tasks):
        raise ConfigError("tasks", "host-fed", "tasks that are sampled on the device")
    for member in tasks:
        check_tasks(member)
    structures = {jax.tree.structure(one) for one in tasks}
    shapes = {tuple(map(jnp.shape, jax.tree.leaves(one))) for one in tasks}
    if len(structures) > 1 or len(shapes) > 1:
        raise ConfigError("tasks", sorted(map(str, shapes)), "one structure and shapes in all")
    (structure,) = structures
    columns = list(zip(*map(jax.tree.leaves, tasks), strict=True))
    differs = [any(_bytes(leaf) != _bytes(column[0]) for leaf in column) for column in columns]
    held = Held(
        {name: jnp.asarray(value) for name, value in values.items()},
        keys,
        [jnp.stack(column) for column, apart in zip(columns, differs, strict=True) if apart],
        [column[0] for column, apart in zip(columns, differs, strict=True) if not apart],
    )

    def tasks_of(differing: list[Any], shared: list[Any]) -> Any:
        sources = {True: iter(differing), False: iter(shared)}
        return jax.tree.unflatten(structure, [next(sources[apart]) for apart in differs])

    def first(values, key, differing, shared):
        task = at_step(tasks_of(differing, shared))(derive(key, "tasks"))
        return make(values).init(derive(key, "init"), task)

    def one(values, key, differing, shared, step, state, failed_at):
        algorithm = make(values)
        draw = jax.vmap(at_step(tasks_of(differing, shared), step))
        batch = draw(task_keys(derive(key, "tasks", step), tasks_per_step))
        # the members share their number of updates, so that vmap leaves its branches: otherwise
        # each step would compute all branches and select one
        before = state if algorithm.at is None else algorithm.at(state, step)
        new, metrics = algorithm.update(before, batch, derive(key, "update", step))
        finite = is_finite(algorithm, new, metrics)
        going = finite & (failed_at < 0)
        kept = jax.tree.map(lambda a, b: jnp.where(going, a, b), new, state)
        failed_at = jnp.where(finite | (failed_at >= 0), failed_at, step)
        return kept, failed_at, metrics

    def init(key, held: Held) -> PopulationState:
        members = jax.vmap(first, (0, 0, 0, None))(
            held.values, held.keys, held.differing, held.shared
        )
        return PopulationState(jnp.int32(0), members, jnp.full(len(tasks), -1, jnp.int32))

    def update(state: PopulationState, held: Held, key, axis_name: str | None = None):
        held = jax.tree.map(lambda leaf: leaf[0], held)  # the one "task" of the step
        members, failed_at, metrics = jax.vmap(one, (0, 0, 0, None, None, 0, 0))(
            held.values,
            held.keys,
            held.differing,
            held.shared,
            state.step,
            state.members,
            state.failed_at,
        )
        well = failed_at < 0
        loss = jnp.mean(metrics["loss"], where=well)  # not finite where none is left: fit stops
        each = {MEMBER + name: value for name, value in metrics.items()}
        return PopulationState(state.step + 1, members, failed_at), {**each, "loss": loss}

    params_of = jax.vmap(make({name: value[0] for name, value in held.values.items()}).params)
    return Algorithm(init, update, lambda state: params_of(state.members)), held


def member_rows(rows: Sequence[Mapping[str, Any]], index: int) -> list[dict[str, Any]]:
    """Return one member's rows of a population's log, as its own run would have written them.

    Args:
      rows: of the population's log.
      index: of the member.

    Returns:
      The rows.
    """
    return [
        {"step": row["step"]}
        | {
            name.removeprefix(MEMBER): value[index]
            for name, value in row.items()
            if name.startswith(MEMBER) and value is not None
        }
        for row in rows
    ]


def _bytes(leaf: Any) -> bytes:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()
