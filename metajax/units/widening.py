"""Wider layers that compute what the narrow ones did, after Net2Net."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from metajax.core import ConfigError, Params, derive, one_of
from metajax.units.axes import Leaf, Units, check_names, leaves_of, sizes_of
from metajax.units.taking import map_state, take_units, taken_axes

LEAST_SHARE = 1e-6
"""Added to the random numbers that shares are made of: a unit's shares cannot all be 0."""


def widen(
    params: Params,
    units: Units,
    sizes: Mapping[str, int],
    key: Key[Array, ""],
    split: Literal["random", "equal"] = "random",
) -> Params:
    """Return parameters of a wider network with the same function (Net2WiderNet).

    New units are copies of units drawn at random (Chen et al. 2016, arXiv 1511.05641, section 2.2).
    The weights that read a unit are split between its copies. Any shares that sum to 1 keep the
    function. With equal shares, as in the paper, copies receive equal gradients and stay equal;
    with random ones they part as training proceeds.

    Units that a layer normalization mixes are copied equally often each, since its mean and
    variance stay the same then.

    Args:
      params: of the network.
      units: the names of its units, which are those of the wider one too.
      sizes: for each name how many units it will have.
      key: of the units that are copied and of the shares.
      split: ``random`` draws the share of every weight, from normalized exponentials.

    Returns:
      The parameters. Those of an optimizer are mapped by :func:`widen_state`.

    Raises:
      ConfigError: the names do not fit the parameters, a size is below the present one, or is no
        multiple of it for units that a layer normalization mixes.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import mlp_units, widen
      >>> x = jax.random.normal(jax.random.key(0), (5, 3))
      >>> params = mlp([8], 2).init(jax.random.key(1), x)
      >>> wide = widen(params, mlp_units(params), {"h0": 32}, jax.random.key(2))
      >>> bool(jnp.allclose(mlp([32], 2).apply(wide, x), mlp([8], 2).apply(params, x), atol=1e-5))
      True
    """
    one_of("split", split, ("random", "equal"))
    leaves = leaves_of(params, units)
    present, indices = sizes_of(leaves), _copies(leaves, sizes, key)
    taken = jax.tree.leaves(take_units(params, units, indices))

    axes = [
        [
            (number, rows)
            for number, rows in taken_axes(leaf, present, indices)
            if any(axis == number and part.role == "reads" for axis, part in leaf.carried())
        ]
        for leaf in leaves
    ]
    wanted = [taken[i].size if found else 0 for i, found in enumerate(axes)]
    if split == "random":
        # one draw for all: each draw of its own would be compiled by itself
        drawn = jax.random.exponential(derive(key, "shares"), (sum(wanted),), jnp.float32)
        drawn = drawn + LEAST_SHARE
    else:
        drawn = jnp.ones(sum(wanted), jnp.float32)
    start = 0
    for i, found in enumerate(axes):
        if not found:
            continue
        array = taken[i]
        numbers = drawn[start : start + wanted[i]].reshape(array.shape).astype(array.dtype)
        start += wanted[i]
        for axis, rows in found:
            array = array * _shares(numbers, axis, rows, leaves[i].array.shape[axis])
        taken[i] = array
    return jax.tree.unflatten(jax.tree.structure(params), taken)


def widen_state(
    state: PyTree, params: Params, units: Units, sizes: Mapping[str, int], key: Key[Array, ""]
) -> PyTree:
    """Return the state of an optimizer for what :func:`widen` makes with the same key.

    Moments of a copy are those of its unit. For weights that read a copy that is exact: they have
    the gradient that they had. Weights that make a copy have a share of it from now on, and their
    moments are as large as before until Adam has forgotten them.

    Args:
      state: of an optimizer, for the narrow network.
      params: of the narrow network.
      units: the names of its units.
      sizes: as given to :func:`widen`.
      key: as given to :func:`widen`.

    Raises:
      ConfigError: as :func:`widen` does.
    """
    indices = _copies(leaves_of(params, units), sizes, key)
    return map_state(lambda moments: take_units(moments, units, indices), state, params)


def _copies(
    leaves: list[Leaf], sizes: Mapping[str, int], key: Key[Array, ""]
) -> dict[str, Int[Array, " n"]]:
    """All units, and then those that are copied once more."""
    present = sizes_of(leaves)
    check_names("sizes", sizes, present)
    mixed = set().union(*(leaf.names("normalizes") for leaf in leaves))
    found = {}
    for name, size in sizes.items():
        old = present[name]
        if size < old:
            raise ConfigError(f"size of {name}", size, f"{old} or more")
        if name in mixed:
            if size % old:
                raise ConfigError(
                    f"size of {name}", size, f"a multiple of {old}: layer normalization"
                )
            found[name] = jnp.tile(jnp.arange(old), size // old)
        else:
            drawn = jax.random.randint(derive(key, f"copies of {name}"), (size - old,), 0, old)
            found[name] = jnp.concatenate([jnp.arange(old), drawn])
    return found


def _shares(
    numbers: Float[Array, "..."], axis: int, rows: Int[Array, " m"], size: int
) -> Float[Array, "..."]:
    """Numbers divided by their sums over the copies of each index along an axis."""
    first: Any = jnp.moveaxis(numbers, axis, 0)
    flat = first.reshape(len(rows), math.prod(first.shape[1:]))
    total = jax.ops.segment_sum(flat, rows, size)
    return jnp.moveaxis((flat / total[rows]).reshape(first.shape), 0, axis)
