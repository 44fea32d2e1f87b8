"""Frozen dataclasses that check and convert what a person gives them, as pytrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import register_dataclass


@dataclass_transform(frozen_default=True, eq_default=False)
def pytree(cls: type) -> Any:
    """Make a class a frozen dataclass and a pytree; ``static`` fields are part of its structure."""
    return register_dataclass(dataclass(frozen=True, eq=False)(cls))


def put(node: Any, **values: Any) -> None:
    """Set fields of a frozen dataclass, for its ``__post_init__``."""
    for name, value in values.items():
        object.__setattr__(node, name, value)


def real(value: Any) -> Float[Array, "..."]:
    """Convert to an array of jax's default floating-point type; traced values stay traced."""
    return jnp.asarray(value, jnp.result_type(float))


def concrete(*trees: Any) -> bool:
    """Whether the numbers are known now, so that they can be checked."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def namespace(*trees: Any) -> Any:
    """Return ``jax.numpy`` where any array is JAX's, else NumPy, which compiles nothing.

    Args:
      *trees: arrays, numbers and pytrees of them.

    Returns:
      The module.
    """
    return jnp if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(trees)) else np


FEW = 10_000
"""Numbers at most of which each is read as the decimal that it was written as."""


def on_host(tree: Any) -> Any:
    """Return a pytree with NumPy leaves, numbers in float64.

    A float32 stands for the shortest decimal that it is nearest to: .1, not .10000000149.

    Args:
      tree: arrays that are known.

    Returns:
      The tree; leaves that are no arrays as they are.
    """

    def convert(leaf: Any) -> Any:
        array = np.asarray(leaf)
        if array.dtype == object:
            return leaf
        if not np.issubdtype(array.dtype, np.floating):
            return array
        if array.dtype == np.float64 or array.size > FEW:
            return array.astype(np.float64)
        return np.array([float(str(number)) for number in array.ravel()]).reshape(array.shape)

    return jax.tree.map(convert, tree)
