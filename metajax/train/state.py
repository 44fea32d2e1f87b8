"""The state of a run as a checkpoint holds it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from metajax.core import ConfigError


def describe_shape(leaf: Any) -> str:
    """An array's dtype and shape in words, e.g. ``float32[3, 4]``."""
    return f"{leaf.dtype}{list(leaf.shape)}"


def path_of(path: Any) -> str:
    """A leaf's path as Python would write it, which tells ``['a.b']`` from ``['a']['b']``."""
    return jax.tree_util.keystr(path)


def saved_name(path: Any) -> str:
    """The name of a leaf in a checkpoint: Orbax joins the keys on the way to it with dots."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def strong(tree: PyTree) -> PyTree:
    """Give every leaf a dtype of its own; a weak one, as of a Python number, is lost in a file.

    Arithmetic with a weakly typed number takes the dtype of the other operand: what a resumed run
    computes would depend on whether it was resumed.
    """

    def own(leaf):
        if not getattr(leaf, "weak_type", not hasattr(leaf, "dtype")):
            return leaf
        return jax.lax.convert_element_type(leaf, jnp.asarray(leaf).dtype)

    return jax.tree.map(own, tree)


def check_names(state: PyTree) -> None:
    """Reject a state of which two leaves have one name in a checkpoint.

    Raises:
      ConfigError: two have; the message holds their paths.
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    often = Counter(saved_name(path) for path, _ in leaves)
    same = [path_of(path) for path, _ in leaves if often[saved_name(path)] > 1]
    if same:
        raise ConfigError(
            "state",
            ", ".join(same),
            "paths that differ when their keys are joined by dots, as a checkpoint names its "
            "arrays; rename one of the keys",
        )


def _is_empty(leaf: Any) -> bool:
    return 0 in leaf.shape


def to_saved(state: PyTree) -> PyTree:
    """A state as Orbax can write it: in place of an array without elements stands its shape."""

    def form(leaf):
        return np.array(leaf.shape, np.int32) if _is_empty(leaf) else leaf

    return jax.tree.map(form, state)


def _saved_form(leaf: Any) -> jax.ShapeDtypeStruct:
    """The shape and dtype that :func:`to_saved` gives to an array."""
    if _is_empty(leaf):
        return jax.ShapeDtypeStruct((len(leaf.shape),), jnp.int32)
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)


def saved_like(saved: PyTree, like: PyTree, sharding: Any) -> PyTree:
    """What to restore: a checkpoint's own structure, with the dtypes of the state ``like``.

    Containers without leaves, and of another kind but the same names, are thus no difference.
    """
    leaves = _by_name(like)

    def form(path, _):
        known = _saved_form(leaves[saved_name(path)])
        return jax.ShapeDtypeStruct(known.shape, known.dtype, sharding=sharding)

    return jax.tree.map_with_path(form, saved)


def from_saved(restored: PyTree, like: PyTree) -> PyTree:
    """The state that was restored, in the structure of ``like``."""
    leaves = _by_name(restored)

    def form(path, like):
        leaf = leaves[saved_name(path)]
        if _is_empty(like):
            return jax.device_put(jnp.zeros(like.shape, like.dtype), leaf.sharding)
        return leaf

    return jax.tree.map_with_path(form, like)


def misfits(saved: PyTree, like: PyTree) -> list[str]:
    """Say how a checkpoint differs from a state of the shapes and dtypes of ``like``.

    Args:
      saved: leaves with ``shape`` and ``dtype``, as Orbax tells of a checkpoint's arrays, or the
        restored arrays, of which it can tell more.
      like: the state.

    Returns:
      A line for each leaf that differs, by its name in the checkpoint.
    """
    there, here = _by_name(saved), _by_name(like)
    lines = []
    for name in sorted({*there, *here}):
        if name not in here or name not in there:
            at, leaves = ("there", there) if name in there else ("here", here)
            lines.append(f"{name} ({describe_shape(leaves[name])}) is only {at}")
        elif not _fits(there[name], here[name]):
            differ = [describe_shape(leaves[name]) for leaves in (there, here)]
            if _is_empty(here[name]) and isinstance(there[name], jax.Array):
                differ[0] = f"an empty array of shape {np.asarray(there[name]).tolist()}"
            lines.append(f"{name} is {differ[0]} there and {differ[1]} here")
    return lines


def _fits(saved: Any, like: Any) -> bool:
    is_key = jnp.issubdtype(like.dtype, jax.dtypes.prng_key)
    if is_key and not isinstance(saved, jax.Array) and not _is_empty(like):
        return saved.shape[:-1] == like.shape  # the shape of its words: more is known once restored
    form = _saved_form(like)
    if (saved.dtype, tuple(saved.shape)) != (form.dtype, form.shape):
        return False
    empty = _is_empty(like) and isinstance(saved, jax.Array)
    return not empty or tuple(np.asarray(saved).tolist()) == like.shape


def _by_name(tree: PyTree) -> dict[str, Any]:
    return {saved_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
