"""Many meta-steps as one compiled program, on one device or with the tasks split over several."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Bool, Int32, PyTree

from metajax.core import (
    Algorithm,
    ConfigError,
    HostFed,
    Metrics,
    all_finite,
    at_step,
    described,
    kind,
    one_of,
    task_keys,
)

TASKS_AXIS = "tasks"
"""Name of the device axis over which the tasks of a step are split."""

MODEL_AXIS = "model"
"""Name of the device axis over which the arrays of the state are split."""

WATCHED = ("loss", "grad_norm")
"""Metrics that decide whether a step was finite, where the algorithm reports them."""

Parallel = Literal["none", "jit", "pmap"]
OnNonFinite = Literal["stop", "skip"]
Partition = Callable[[str, jax.ShapeDtypeStruct, int], PartitionSpec]
"""A rule by which an array of the state, of that path, is split over so many devices."""


def largest_axis(path: str, leaf: jax.ShapeDtypeStruct, num: int) -> PartitionSpec:
    """Split an array of 4,096 numbers or more along its largest axis that ``num`` divides.

    Args:
      path: of the leaf, not used.
      leaf: its shape.
      num: devices that hold one copy.

    Returns:
      How the axes are split.
    """
    fitting = [(size, -axis) for axis, size in enumerate(leaf.shape) if size % num == 0]
    if not fitting or leaf.size < 4096:
        return PartitionSpec()  # what is small costs more to gather than to keep
    return PartitionSpec(*[None] * -max(fitting)[1], MODEL_AXIS)


class LoopState(NamedTuple):
    """What the compiled steps carry.

    Attributes:
      algorithm: the algorithm's state.
      bad_step: the first step that was not finite, counted from 0; -1 while there is none.
      skipped: how many steps the ``skip`` policy has left out.
    """

    algorithm: PyTree
    bad_step: Int32[Array, ""]
    skipped: Int32[Array, ""]


class Layout(NamedTuple):
    """Where the arrays of a run live.

    Attributes:
      parallel: ``none`` (one device), ``jit`` (global arrays over a mesh) or ``pmap`` (a copy of
        every array per device).
      mesh: the named mesh, axis ``tasks`` and, where the state is split, ``model``.
      distribute: puts a pytree that every device needs whole (pools, keys) on the devices.
      shardings: how the algorithm's state lies on the devices, where it is not whole on each.
      place: puts a state so.
      collect: the inverse, a pytree without any device axis, on devices of this process; where
        the state is split, every process must call it.
      saved: the same as a checkpoint takes it.
      split: puts host batches ``[steps, tasks, ...]`` on the devices, split by task.
    """

    parallel: str
    mesh: Mesh
    distribute: Callable[[PyTree], PyTree]
    shardings: Callable[[PyTree], PyTree]
    place: Callable[[PyTree], PyTree]
    collect: Callable[[PyTree], PyTree]
    saved: Callable[[PyTree], PyTree]
    split: Callable[[PyTree], PyTree]

    @property
    def num_parts(self) -> int:
        """How many parts the tasks of a step are worked through in, side by side."""
        return self.mesh.shape[TASKS_AXIS]


def make_layout(
    parallel: Parallel,
    tasks_per_step: int,
    devices: Sequence[jax.Device] | None = None,
    *,
    model_devices: int = 1,
    partition: Partition = largest_axis,
) -> Layout:
    """Return the layout for ``parallel`` on ``devices`` (all of them by default).

    With ``model_devices`` so many devices hold one copy of the algorithm's state between them,
    split by the rule ``partition``, and work on the same tasks together.

    Args:
      parallel: how tasks are split.
      tasks_per_step: of the training.
      devices: that take part, or None.
      model_devices: devices that hold one copy of the state.
      partition: how each leaf of the state is split over them.

    Raises:
      ConfigError: an unknown ``parallel``, or one that several processes can not run; no task, or
        tasks or ``model_devices`` that do not divide over the devices.
    """
    one_of("parallel", parallel, ("none", "jit", "pmap"))
    if jax.process_count() > 1 and parallel != "jit":
        raise ConfigError("parallel", parallel, f"jit, for {jax.process_count()} processes")
    if not isinstance(tasks_per_step, Integral) or tasks_per_step < 1:
        raise ConfigError("tasks_per_step", tasks_per_step, "a whole number of 1 or more")
    devices = list(devices or jax.devices())
    if parallel == "none":
        devices = devices[:1]
    if not isinstance(model_devices, Integral) or model_devices < 1:
        raise ConfigError("model_devices", model_devices, "a whole number of 1 or more")
    if model_devices > 1 and parallel != "jit":
        raise ConfigError("model_devices", model_devices, f"1 with parallel = {parallel}, or jit")
    if len(devices) % model_devices:
        raise ConfigError("model_devices", model_devices, f"a divisor of {len(devices)} devices")
    num = len(devices) // model_devices
    if tasks_per_step % num:
        parts = "devices" if model_devices == 1 else f"groups of {model_devices} devices"
        below = tasks_per_step // num * num
        near = [str(n) for n in (below, below + num) if n]
        raise ConfigError(
            "tasks_per_step",
            tasks_per_step,
            f"a multiple of the {num} {parts}, e.g. {' or '.join(near)}",
        )
    axes = {TASKS_AXIS: num}
    if model_devices > 1:
        axes[MODEL_AXIS] = model_devices
    mesh = jax.make_mesh(
        tuple(axes.values()), tuple(axes), axis_types=(AxisType.Auto,) * len(axes), devices=devices
    )
    replicated = NamedSharding(mesh, PartitionSpec())
    by_device = NamedSharding(mesh, PartitionSpec(TASKS_AXIS))
    if parallel != "pmap":
        by_task = NamedSharding(mesh, PartitionSpec(None, TASKS_AXIS))
        several = jax.process_count() > 1
        put = put_everywhere if several else jax.device_put

        def distribute(tree):
            return put(tree, replicated)

        if model_devices == 1:

            def shardings(tree):
                return jax.tree.map(lambda _: replicated, tree)

            def whole(tree):
                return tree
        else:
            shardings = functools.partial(split_by, partition, mesh)
            whole = jax.jit(lambda tree: tree, out_shardings=replicated)
        return Layout(
            parallel,
            mesh,
            distribute=distribute,
            shardings=shardings,
            place=lambda tree: jax.tree.map(put, tree, shardings(tree)),
            collect=lambda tree: one_copy(whole(tree)) if several else whole(tree),
            saved=lambda tree: tree,
            split=lambda tree: put(tree, by_task),
        )

    def one_copy_per_device(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(
                one_copy_per_device(jax.random.key_data(leaf)), impl=jax.random.key_impl(leaf)
            )
        shape = (num, *leaf.shape)
        return jax.make_array_from_callback(shape, by_device, lambda _: np.asarray(leaf)[None])

    def split_for_pmap(leaf):
        steps, tasks = leaf.shape[:2]
        parts = leaf.reshape(steps, num, tasks // num, *leaf.shape[2:])
        return jax.device_put(np.moveaxis(parts, 1, 0), by_device)

    def first_copy(tree):
        return jax.tree.map(lambda leaf: leaf[0], tree)

    return Layout(
        parallel,
        mesh,
        distribute=lambda tree: jax.tree.map(one_copy_per_device, tree),
        shardings=lambda tree: jax.tree.map(lambda _: by_device, tree),
        place=lambda tree: jax.tree.map(one_copy_per_device, tree),
        collect=first_copy,
        saved=first_copy,
        split=lambda tree: jax.tree.map(split_for_pmap, tree),
    )


def split_by(partition: Partition, mesh: Mesh, tree: PyTree) -> PyTree:
    """The sharding of each array of a state, by a rule; keys stay whole."""
    num = mesh.shape[MODEL_AXIS]

    def sharding(path, leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return NamedSharding(mesh, PartitionSpec())
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        spec = partition(name, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), num)
        axes = zip(leaf.shape, spec, strict=False)
        if len(spec) > leaf.ndim or any(axis is not None and size % num for size, axis in axes):
            raise ConfigError("partition", spec, f"one that fits {name} of shape {leaf.shape}")
        return NamedSharding(mesh, spec)

    return jax.tree.map_with_path(sharding, tree)


def put_everywhere(tree: PyTree, sharding: NamedSharding) -> PyTree:
    """Place arrays that every process holds whole on the devices of all processes."""

    def put(leaf):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            data = put(jax.random.key_data(leaf))
            return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
        whole = np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(put, tree)


def one_copy(tree: PyTree) -> PyTree:
    """This process' own copy of arrays that every device holds whole."""
    return jax.tree.map(lambda leaf: leaf.addressable_data(0), tree)


def is_finite(algorithm: Algorithm, new: PyTree, metrics: Metrics) -> Bool[Array, ""]:
    """Whether an update that ended in state ``new`` and reported ``metrics`` was finite.

    By its loss and ``grad_norm``, or its parameters where that is not reported.
    """
    watched = [metrics[name] for name in WATCHED if name in metrics]
    if "grad_norm" not in metrics:  # nothing says that the update was finite: look
        watched.append(algorithm.params(new))
    return all_finite(watched)


def checked_update(old: PyTree, found: Any) -> tuple[PyTree, Metrics]:
    """Return a new state and metrics, of what an update returned.

    Raises:
      ConfigError: it is no such pair, the state's structure, shapes or dtypes changed, or there is
        no scalar loss.
    """
    if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], Mapping)):
        raise ConfigError("the algorithm's update", kind(found), "(state, metrics), metrics a dict")
    new, metrics = found
    structure: Any = jax.tree.structure(old)
    if structure != jax.tree.structure(new):
        raise ConfigError(
            "the algorithm's update",
            f"a state {jax.tree.structure(new)}",
            f"the structure of the state before it, {structure}",
        )
    for (path, before), after in zip(
        jax.tree_util.tree_leaves_with_path(old), jax.tree.leaves(new), strict=True
    ):
        if (jnp.shape(after), getattr(after, "dtype", None)) != (before.shape, before.dtype):
            raise ConfigError(
                f"the algorithm's state{jax.tree_util.keystr(path)}",
                described(after),
                f"{described(before)}, as before the update",
            )
    if "loss" not in metrics:
        raise ConfigError("metrics of the algorithm", sorted(metrics), "a scalar 'loss' too")
    if jnp.shape(metrics["loss"]) != ():
        raise ConfigError("metrics of the algorithm", described(metrics["loss"]), "a scalar 'loss'")
    return new, dict(metrics)


def make_steps(
    algorithm: Algorithm,
    tasks: Any,
    state: LoopState,
    *,
    tasks_per_step: int,
    capacity: int,
    layout: Layout,
    on_nonfinite: OnNonFinite,
) -> Callable:
    """Compile-ready ``run(state, tasks, raw, streams, first_step, num_steps) -> (state, rows)``.

    The ``state`` given here tells its shapes. ``streams`` are two keys, from which a step's tasks
    and its update draw by ``fold_in(stream, step)``; staged tasks are given the step too.
    ``num_steps`` (at most ``capacity``) and ``first_step`` are traced: one program serves every
    dispatch, so where the dispatches are cut changes no bit of the result. ``state`` is donated.
    ``rows`` is a pair, the metrics and whether the step was finite (its loss and ``grad_norm``, or
    the parameters after it where that is not reported), with a leading axis of ``capacity``,
    ``num_steps`` of it filled.
    """
    axis_name = TASKS_AXIS if layout.num_parts > 1 else None
    held = tasks_per_step // layout.num_parts
    host_fed = isinstance(tasks, HostFed)

    def batch_of(tasks, raw, key, step):
        keys = task_keys(key, held, axis_name)
        draw = jax.vmap(at_step(tasks, step))
        return draw(keys, raw) if host_fed else draw(keys)

    @functools.partial(jax.jit, inline=True)  # traced once, for its shapes and in the loop
    def one_step(state: LoopState, tasks, raw, streams, step):
        batch = batch_of(tasks, raw, jax.random.fold_in(streams[0], step), step)
        new, metrics = checked_update(
            state.algorithm,
            algorithm.update(
                state.algorithm, batch, jax.random.fold_in(streams[1], step), axis_name
            ),
        )
        finite = is_finite(algorithm, new, metrics)
        kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, state.algorithm)
        if on_nonfinite == "stop":
            return state._replace(
                algorithm=kept, bad_step=jnp.where(finite, state.bad_step, step)
            ), (metrics, finite)
        return state._replace(
            algorithm=kept, skipped=state.skipped + jnp.where(finite, 0, 1).astype(jnp.int32)
        ), (metrics, finite)

    def run(state: LoopState, tasks, raw, streams, first_step, num_steps):
        def at(i):
            return jax.tree.map(lambda leaf: leaf[i], raw)

        shapes = jax.eval_shape(one_step, state, tasks, at(0), streams, first_step)[1]
        rows = jax.tree.map(lambda m: jnp.zeros((capacity, *m.shape), m.dtype), shapes)

        def keep_going(carry):
            i, state, _ = carry
            return (i < num_steps) & (state.bad_step < 0)

        def body(carry):
            i, state, rows = carry
            state, row = one_step(state, tasks, at(i), streams, first_step + i)
            return i + 1, state, jax.tree.map(lambda r, m: r.at[i].set(m), rows, row)

        _, state, rows = jax.lax.while_loop(keep_going, body, (jnp.int32(0), state, rows))
        return state, rows

    if layout.parallel == "pmap":
        return jax.pmap(
            run,
            axis_name=TASKS_AXIS,
            in_axes=(0, 0, 0, None, None, None),
            donate_argnums=0,
            devices=list(layout.mesh.devices.flat),
        )
    if layout.parallel == "jit" and axis_name:
        # by hand, not by the compiler's choice: a device works on its own tasks alone, whatever the
        # algorithm does with them, and what it tells the others is what the algorithm averages
        whole, by_task = PartitionSpec(), PartitionSpec(None, TASKS_AXIS)
        # what the axis `model` splits, and with it the work on it, is the compiler's choice
        run = jax.shard_map(
            run,
            mesh=layout.mesh,
            in_specs=(whole, whole, by_task, whole, whole, whole),
            out_specs=whole,
            check_vma=False,
            axis_names={TASKS_AXIS},
        )
    replicated = NamedSharding(layout.mesh, PartitionSpec())
    return jax.jit(run, donate_argnums=0, out_shardings=(layout.shardings(state), replicated))
