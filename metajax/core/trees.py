"""Helpers over pytrees that jax, optax and chex do not have."""

from __future__ import annotations

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PyTree


def mean_over_devices(tree: PyTree, axis_name: str | None) -> PyTree:
    """Average every leaf over the mapped axis ``axis_name``; the tree itself where that is None.

    Args:
      tree: arrays, one share on every device.
      axis_name: of the mapped devices, or None.

    Returns:
      The means, the same on every device.
    """
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def mean_over_tasks(tree: PyTree) -> PyTree:
    """Average every leaf over its leading axis, the tasks held here.

    Args:
      tree: arrays ``[tasks, ...]``.

    Returns:
      The means, ``[...]``.
    """
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), tree)


def cast_floats(tree: PyTree, dtype: Any) -> PyTree:
    """Cast every floating-point leaf to ``dtype`` and leave integers, booleans and keys alone.

    Args:
      tree: arrays.
      dtype: a floating-point dtype.

    Returns:
      The tree, its shapes as they were.
    """

    def cast(leaf):
        return leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    return jax.tree.map(cast, tree)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Return whether every floating-point leaf holds finite numbers only.

    Args:
      tree: arrays.
    """
    finite = [
        jnp.all(jnp.isfinite(leaf))
        for leaf in jax.tree.leaves(tree)
        if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    return jnp.all(jnp.stack(finite)) if finite else jnp.array(True)


def wide_dtype(tree: PyTree) -> Any:
    """Return the widest dtype of the floating-point leaves, and float32 where all are narrower.

    Numbers that are summed over steps or tasks, and what decides between them, are kept in it.

    Args:
      tree: arrays, or their shapes.
    """
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(tree)]
    floats = [dtype for dtype in dtypes if jnp.issubdtype(dtype, jnp.floating)]
    return max([*floats, jnp.dtype(jnp.float32)], key=lambda dtype: dtype.itemsize)


def root(squared: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return the square root, whose derivatives of every order are taken as 0 at 0.

    The true ones are infinite there, and infinite times the zero behind them is NaN.

    Args:
      squared: numbers of 0 or more.
    """
    zero = squared == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squared)))


def norm(tree: PyTree) -> Float[Array, ""]:
    """Return the Euclidean norm of all numbers of a tree, with a derivative of 0 at 0.

    Args:
      tree: arrays of floating-point numbers.
    """
    return root(optax.tree.norm(tree, squared=True))


def count(tree: PyTree) -> int:
    """Return how many numbers the array leaves hold; leaves may be abstract.

    Args:
      tree: arrays, or their shapes.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.core import count
      >>> count({"kernel": jnp.zeros((3, 4)), "bias": jnp.zeros(4)})
      16
    """
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(tree))


def path_name(path: Any) -> str:
    """Return a leaf's path in a tree as text: its names, with slashes between them.

    Args:
      path: as ``jax.tree_util.tree_flatten_with_path`` gives it.

    Examples:
      >>> import jax
      >>> from metajax.core import path_name
      >>> [path_name(path) for path, _ in jax.tree.leaves_with_path({"layer": [1, 2]})]
      ['layer/0', 'layer/1']
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def digest(tree: PyTree) -> str:
    """Return the SHA-256 over every leaf's path, shape, dtype and bytes, as 64 hex digits.

    Equal digests mean trees equal bit for bit. Typed keys count by their key data.

    Args:
      tree: arrays that can be read here.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.core import digest
      >>> digest({"a": jnp.ones(2)}) == digest({"a": jnp.ones(2)})
      True
      >>> digest({"a": jnp.ones(2)}) == digest({"a": jnp.ones(3)})
      False
    """
    sha = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(jax.device_get(leaf))
        sha.update(f"{jax.tree_util.keystr(path)} {array.shape} {array.dtype}".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
