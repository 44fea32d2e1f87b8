"""Random initial values of many parameters in one draw."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, Key

from metajax.core import Params
from metajax.nn.solves import lapack_qr

drawn_later = nn.initializers.zeros_init()
"""Initializer of a parameter whose values :func:`draw_normals` will put in place."""


def lecun_stddev(name: str, leaf: Float[Array, "..."]) -> float | None:
    """Return LeCun's standard deviation, ``fan_in ** -0.5``, for arrays named ``kernel``.

    Args:
      name: of the parameter.
      leaf: its array or shape.

    Returns:
      The deviation, or None for arrays of another name.
    """
    return math.prod(leaf.shape[:-1]) ** -0.5 if name == "kernel" else None


def draw_normals(
    key: Key[Array, ""],
    params: Params,
    stddev: Callable[[str, Array], float | None] = lecun_stddev,
) -> Params:
    """Replace parameters by normal values, all of them from a single draw.

    A draw for every parameter, as Flax does it, compiles an expansion of the random generator for
    each: seconds on CPU for a network of twenty arrays, minutes for one of a thousand.

    Args:
      key: what is drawn from.
      params: a pytree of nested dicts.
      stddev: the standard deviation for a parameter by its name (the last key of its path) and
        value, or None for one that stays as it is. Values are truncated at two standard
        deviations of the normal they come from, as ``flax.linen.initializers.lecun_normal`` does,
        and have this deviation after that.

    Returns:
      The parameters, arrays in place of what was to be drawn.
    """
    paths, treedef = jax.tree_util.tree_flatten_with_path(params)
    leaves: list[Any] = [leaf for _, leaf in paths]
    wanted = {i: stddev(path[-1].key, leaf) for i, (path, leaf) in enumerate(paths)}
    chosen = {i: scale for i, scale in wanted.items() if scale is not None}
    sizes = [leaves[i].size for i in chosen]
    values = jax.random.truncated_normal(key, -2.0, 2.0, (sum(sizes),), jnp.float32)
    values /= 0.87962566103423978  # the deviation of a standard normal truncated at 2
    start = 0
    for (i, scale), size in zip(chosen.items(), sizes, strict=True):
        drawn = values[start : start + size].reshape(leaves[i].shape)
        leaves[i] = (scale * drawn).astype(leaves[i].dtype)
        start += size
    return jax.tree.unflatten(treedef, leaves)


def draw_orthogonal(
    key: Key[Array, ""], width: int, dtype: Any = jnp.float32
) -> Float[Array, "width width"]:
    """Draw an orthogonal matrix, all of them alike, as ``jax.nn.initializers.orthogonal`` does.

    That one makes one batched call where networks are drawn side by side, and several such calls
    can hang on the CPU (:mod:`metajax.nn.solves`).

    Args:
      key: of the draw.
      width: rows and columns.
      dtype: of the matrix.

    Returns:
      The matrix, uniform over all orthogonal ones.
    """
    q, r = lapack_qr(jax.random.normal(key, (width, width), dtype))
    return q * jnp.sign(jnp.diagonal(r))[None]
