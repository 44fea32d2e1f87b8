"""Edits of a network's weights: factors of their entries, and updates of low rank."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from metajax.core import ConfigError, Params, check_sizes, path_name


def _is_none(node: Any) -> bool:
    return node is None


def _edited(edit: Any, params: Params, *edits: tuple[str, PyTree]) -> Params:
    """Change the leaves for which edits have an array in place of None."""
    structure: Any  # jaxlib's stubs do not know that structures compare
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    columns = []
    for field, tree in edits:
        found, other = jax.tree.flatten(tree, is_leaf=_is_none)
        if structure != other:
            raise ConfigError(
                field, other, f"a tree like the parameters, {structure}, or with Nones"
            )
        columns.append(found)
    names = [path_name(path) for path, _ in paths]
    leaves = [leaf for _, leaf in paths]
    return jax.tree.unflatten(structure, map(edit, names, leaves, *columns))


def modulate(params: Params, deltas: PyTree) -> Params:
    """Return parameters times ``1 + delta`` (HyperStyle; Alaluf et al. 2022, arXiv 2111.15666).

    A delta has the last axes of its array, e.g. ``[in, out]`` for a kernel ``[3, 3, in, out]``: it
    is the same for all taps of the kernel. Deltas of zero return the parameters bit for bit.

    Args:
      params: of the network.
      deltas: a tree like the parameters; None for an array that stays as it is.

    Raises:
      ConfigError: the trees differ, or a delta does not have the last axes of its array.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import modulate
      >>> params = {"kernel": jnp.ones((3, 3, 2, 4)), "bias": jnp.ones(4)}
      >>> changed = modulate(params, {"kernel": jnp.full((2, 4), 0.5), "bias": None})
      >>> changed["kernel"][0, 0, 0, 0], changed["bias"][0]
      (Array(1.5, dtype=float32), Array(1., dtype=float32))
    """

    def edit(name: str, leaf: Array, delta: Array | None) -> Array:
        if delta is None:
            return leaf
        taps = leaf.ndim - delta.ndim
        if taps < 0 or leaf.shape[taps:] != delta.shape:
            raise ConfigError(f"deltas of {name}", delta.shape, f"the last axes of {leaf.shape}")
        return leaf * (1 + jnp.expand_dims(delta, tuple(range(taps))))

    return _edited(edit, params, ("deltas", deltas))


def low_rank_factors(key: Key[Array, ""], params: Params, rank: int) -> tuple[PyTree, PyTree]:
    """Draw factors for :func:`low_rank_update` that leave the network as it is at first.

    Args:
      key: of the draws.
      params: of the network.
      rank: columns of the first factor.

    Returns:
      ``a`` with entries of mean square ``1 / rows`` and ``b`` of zeros, for each array with two
      axes or more; None for the others.

    Raises:
      ConfigError: the rank is below 1.
    """
    check_sizes(rank=rank)
    leaves, structure = jax.tree.flatten(params)
    a: list[Array | None] = []
    b: list[Array | None] = []
    for number, leaf in enumerate(leaves):
        if leaf.ndim < 2:
            a.append(None)
            b.append(None)
            continue
        rows = math.prod(leaf.shape[:-1])
        draw = jax.random.normal(jax.random.fold_in(key, number), (rows, rank), leaf.dtype)
        a.append(draw * rows**-0.5)
        b.append(jnp.zeros((rank, leaf.shape[-1]), leaf.dtype))
    return jax.tree.unflatten(structure, a), jax.tree.unflatten(structure, b)


def low_rank_update(
    params: Params, a: PyTree, b: PyTree, scale: float | Float[Array, ""] = 1.0
) -> Params:
    """Return parameters plus ``scale a b`` (LoRA; Hu et al. 2022, arXiv 2106.09685).

    All axes of an array but the last are its rows. Where ``b`` is zero, the parameters are returned
    bit for bit.

    Args:
      params: of the network.
      a: a tree like the parameters, of ``[rows, rank]``; None for an array that stays as it is.
      b: the same, of ``[rank, columns]``.
      scale: of the update; ``alpha / rank`` in LoRA.

    Raises:
      ConfigError: the trees differ, or factors do not fit their array.
    """

    def edit(name: str, leaf: Array, left: Any, right: Any) -> Array:
        if left is None and right is None:
            return leaf
        rows, columns = math.prod(leaf.shape[:-1]), leaf.shape[-1]
        shapes = [getattr(factor, "shape", ()) for factor in (left, right)]
        ranks = {shape[axis] for shape, axis in zip(shapes, (-1, 0), strict=True) if shape}
        if leaf.ndim < 2 or len(ranks) != 1 or shapes != [(rows, *ranks), (*ranks, columns)]:
            raise ConfigError(f"factors of {name}", shapes, f"[{rows}, rank] and [rank, {columns}]")
        return leaf + (scale * (left @ right)).reshape(leaf.shape)

    return _edited(edit, params, ("a", a), ("b", b))
