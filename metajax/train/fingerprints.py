"""What decides a run's result, as JSON values that can be compared with those of another run.

Parts, each told apart in the message of :func:`changes`: the programs of the first state, of a task
and of an update, with their constants; the values of the task distribution's arrays; the first
host-fed batch; the structure of the state; how random bits are drawn. How a run is laid out over
devices, where its dispatches are cut, and what is measured along the way are no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from metajax.core import Algorithm, at_step
from metajax.train.metrics import plain
from metajax.train.programs import digest_of, program_of
from metajax.train.software import versions
from metajax.train.state import describe_shape, path_of, strong
from metajax.train.step import WATCHED

FORMAT = 1
"""Raised where the digests of programs change their meaning: older ones do not compare then."""

LIBRARIES = ("metajax", "jax", "jaxlib", "flax", "optax", "numpy")
SHOWN = 6
"""Differences named of one part."""


def fingerprint(
    algorithm: Algorithm,
    tasks: Callable[..., Any],
    raw: list[PyTree],
    *,
    tasks_per_step: int,
    key: Key[Array, ""],
) -> dict[str, Any]:
    """Return what decides the result of training, as JSON values.

    The algorithm and the tasks are traced, not compiled, in one form for all layouts.

    Args:
      algorithm: the meta-training step.
      tasks: the task distribution, or the ``assemble`` of host-fed tasks.
      raw: the arguments of ``tasks`` after the key, of one task: none, or the host's.
      tasks_per_step: tasks of one meta-step.
      key: of the run.
    """

    def sample(tasks, key, raw, step):
        return at_step(tasks, step)(key, *raw)

    def first(key, task):
        return strong(algorithm.init(key, task))

    def update(state, batch, key):
        new, metrics = algorithm.update(state, batch, key, None)
        return new, [metrics[name] for name in WATCHED if name in metrics]

    def add_axis(leaf):
        shape = (tasks_per_step, *leaf.shape)
        return jax.ShapeDtypeStruct(shape, leaf.dtype, weak_type=leaf.weak_type)

    of_task, task = program_of(sample, tasks, key, raw, jnp.int32(0))
    of_state, state = program_of(first, key, task)
    of_update, _ = program_of(update, state, jax.tree.map(add_axis, task), key)
    programs = {"the first state": of_state, "a task": of_task, "an update": of_update}
    return {
        "format": FORMAT,
        "software": versions(LIBRARIES) | {"on": jax.default_backend()},
        "random": {
            "implementation": str(jax.random.key_impl(key)),
            "partitionable": jax.config.jax_threefry_partitionable,  # type: ignore[attr-defined]
        },
        "programs": {name: program._asdict() for name, program in programs.items()},
        "tasks": _leaves(tasks),
        "first host-fed batch": _leaves(raw),
        "state": {path_of(path): describe_shape(leaf) for path, leaf in _with_paths(state)},
    }


def changes(old: dict[str, Any], new: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Compare two fingerprints.

    A program that differs is told apart from a changed one only where the libraries and the kind
    of device are the same: those, too, decide how a function is lowered.

    Returns:
      What changed, one line each, and what differs but may be the libraries' doing.
    """
    changed = _of_dicts("random numbers", old["random"], new["random"])
    changed += _of_dicts("state", old["state"], new["state"])
    same = old["format"] == new["format"] and old["software"] == new["software"]
    unsure: list[str] = []
    for group in ("tasks", "first host-fed batch"):
        for path in sorted({*old[group], *new[group]}):
            _of_leaves(
                f"{group}{path}", old[group].get(path), new[group].get(path), same, changed, unsure
            )
    for name, program in new["programs"].items():
        before = old["programs"][name]
        if before["full"] == program["full"] and old["format"] == new["format"]:
            continue
        lines, replaced = _of_constants(name, before["constants"], program["constants"])
        if before["form"] == program["form"]:
            changed += lines or [f"{name}: the same constants stand in other places"]
        elif same:
            changed += [f"{name}: the program is another one", *lines]
        else:
            (changed if replaced else unsure).extend(replaced or [f"{name}: the program differs"])
    return changed, unsure


def _with_paths(tree: PyTree) -> list[tuple[Any, Any]]:
    return jax.tree_util.tree_leaves_with_path(tree)


def _leaves(tree: PyTree) -> dict[str, Any]:
    found = {}
    for path, leaf in _with_paths(tree):
        leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
        about = {"is": describe_shape(leaf)}
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            # as jax will take it: a NumPy array of 64 bits is the same as its copy in 32
            leaf = jax.device_get(leaf)
            leaf = np.asarray(leaf, jax.eval_shape(jnp.asarray, leaf).dtype)
            about = {"is": describe_shape(leaf)}
            if not jnp.issubdtype(leaf.dtype, jnp.complexfloating):
                flat = leaf.reshape(-1)
                some = flat[:: max(1, flat.size // 8)][:8]
                whole = leaf.dtype.kind in "iub"
                about["some"] = plain(some if whole else some.astype(np.float64))
        found[path_of(path)] = about | {"sha256": digest_of(leaf)}
    return found


def _of_dicts(what: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    lines = [
        f"{what}: {name} is {old.get(name, 'missing')} there and {new.get(name, 'missing')} here"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return _few(lines)


def _of_leaves(name, old, new, same, changed, unsure) -> None:
    if old is None or new is None:
        changed.append(f"{name} is only {'here' if old is None else 'there'}")
    elif old["is"] != new["is"]:
        changed.append(f"{name} is {old['is']} there and {new['is']} here")
    elif old["sha256"] != new["sha256"]:
        shown = f" ({old.get('some')} there, {new.get('some')} here)" if "some" in new else ""
        line = f"{name} ({new['is']}) has other values{shown}"
        (changed if same or not _near(old.get("some"), new.get("some")) else unsure).append(line)


def _near(old: Any, new: Any) -> bool:
    """Whether numbers may differ by rounding alone."""
    if not old or not all(isinstance(number, float | None) for number in old):
        return False
    a, b = (np.array(some, np.float64) for some in (old, new))  # of None becomes NaN
    return np.allclose(a, b, rtol=1e-3, equal_nan=True)


def _of_constants(
    name: str, old: dict[str, int], new: dict[str, int]
) -> tuple[list[str], list[str]]:
    """Lines on constants that differ, and on arrays of one shape whose values do."""
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    lines = []
    if gone or come:
        there, here = (", ".join(_few(sorted(which))) or "none" for which in (gone, come))
        lines = [f"{name}: constants differ: {there} there, {here} here"]
    arrays = [{text.rpartition(" ")[0] for text in which if "[" in text} for which in (gone, come)]
    both = sorted(set.intersection(*arrays))
    return lines, [f"{name}: an array {kind} has other values" for kind in both]


def _few(lines: list[str]) -> list[str]:
    more = len(lines) - SHOWN
    return lines if more <= 0 else [*lines[:SHOWN], f"and {more} more"]
