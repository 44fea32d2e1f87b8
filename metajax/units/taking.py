"""Take, permute, drop, repeat and mask units, and measure them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree

from metajax.core import ConfigError, Params, root
from metajax.units.axes import Axis, Leaf, Units, check_names, leaves_of, part_size, sizes_of

OUTSIDE = np.iinfo(np.int32).max
"""An index out of range of every array; negative ones would count from the end."""


def unit_sizes(params: Params, units: Units) -> dict[str, int]:
    """Return how many units each name has.

    Args:
      params: of the network, or their shapes.
      units: the names of its units.

    Raises:
      ConfigError: the names do not fit the parameters.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import mlp_units, unit_sizes
      >>> params = mlp([8, 4], 2).init(jax.random.key(0), jnp.zeros((1, 3)))
      >>> unit_sizes(params, mlp_units(params))
      {'h0': 8, 'h1': 4}
    """
    return sizes_of(leaves_of(params, units))


def take_units(
    params: Params, units: Units, indices: Mapping[str, Int[Array | np.ndarray, " n"]]
) -> Params:
    """Return parameters with the units at ``indices``, in this order: permute, drop or repeat.

    Every axis that the units have is taken. So a unit that is dropped leaves nothing behind, and
    one that is repeated counts twice for what reads it: :func:`widen` keeps the function.

    Args:
      params: of the network.
      units: the names of its units.
      indices: for each name the units to take; they may be traced. Names that are not given stay
        as they are.

    Raises:
      ConfigError: the names do not fit the parameters, or indices that are known are out of range.
        Traced indices out of range give NaN.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import mlp_units, take_units
      >>> params = mlp([8], 2).init(jax.random.key(0), jnp.zeros((1, 3)))
      >>> some = take_units(params, mlp_units(params), {"h0": jnp.array([5, 2])})
      >>> some["Dense_0"]["kernel"].shape, some["Dense_1"]["kernel"].shape
      ((3, 2), (2, 2))
    """
    leaves = leaves_of(params, units)
    sizes = sizes_of(leaves)
    check_names("indices", indices, sizes)
    chosen = {name: _checked(name, rows, sizes[name]) for name, rows in indices.items()}

    def take(leaf: Leaf) -> Any:
        array = leaf.array
        for number, rows in taken_axes(leaf, sizes, chosen):
            array = jnp.take(array, rows, axis=number, mode="fill", fill_value=jnp.nan)
        return array

    return jax.tree.unflatten(jax.tree.structure(params), map(take, leaves))


def _checked(name: str, rows: Any, size: int) -> Any:
    """Indices in range; traced ones that are not are out of range of every array."""
    traced = isinstance(rows, jax.core.Tracer)
    rows = rows if traced else np.asarray(rows)
    if rows.ndim != 1 or not jnp.issubdtype(rows.dtype, jnp.integer):
        raise ConfigError(f"indices of {name}", rows, "whole numbers on one axis")
    if traced:
        return jnp.where((rows < 0) | (rows >= size), OUTSIDE, rows.astype(jnp.int32))
    if np.any((rows < 0) | (rows >= size)):
        raise ConfigError(f"indices of {name}", rows, f"0 to {size - 1}")
    return rows


def taken_axes(
    leaf: Leaf, sizes: Mapping[str, int], chosen: Mapping[str, Int[Array, " n"]]
) -> list[tuple[int, Int[Array, " m"]]]:
    """Return each axis that has one of the chosen units, with the indices to take along it.

    Args:
      leaf: of the parameters.
      sizes: how many units each name has.
      chosen: units to take.
    """
    # indices that are known are computed on the host: nothing is compiled for them
    traced = any(isinstance(rows, jax.core.Tracer) for rows in chosen.values())
    module: Any = jnp if traced else np
    outside = {"mode": "fill", "fill_value": OUTSIDE} if traced else {}
    found = []
    for number in sorted({number for number, part in leaf.carried() if part.name in chosen}):
        start, rows = 0, []
        for part in leaf.axes[number] or ():
            own = start + module.arange(part_size(part, sizes), dtype=np.int32)
            if isinstance(part, Axis) and part.name in chosen:
                by_unit = own.reshape(part.times, sizes[part.name], part.each)
                own = module.take(by_unit, chosen[part.name], axis=1, **outside).reshape(-1)
            rows.append(own)
            start += part_size(part, sizes)
        found.append((number, module.concatenate(rows)))
    return found


def permute_units(
    params: Params, units: Units, permutations: Mapping[str, Int[Array | np.ndarray, " n"]]
) -> Params:
    """Return parameters with units in another order, which leaves the network's function as it is.

    Args:
      params: of the network.
      units: the names of its units.
      permutations: for each name all its units in their new order.

    Raises:
      ConfigError: the names do not fit the parameters, or what is known is no permutation.
    """
    sizes = unit_sizes(params, units)
    check_names("permutations", permutations, sizes)
    for name, rows in permutations.items():
        size, known = sizes[name], not isinstance(rows, jax.core.Tracer)
        if rows.shape != (size,) or (known and not np.array_equal(np.sort(rows), np.arange(size))):
            raise ConfigError(f"permutation of {name}", rows, f"each of 0 to {size - 1} once")
    return take_units(params, units, permutations)


def slice_units(params: Params, units: Units, sizes: Mapping[str, int]) -> Params:
    """Return parameters with the first units of each name.

    The network's function is that of :func:`mask_units` with a mask of these units. The units of a
    layer normalization are an exception: it does not ignore units that are masked.

    Args:
      params: of the network.
      units: the names of its units.
      sizes: for each name how many units to keep.

    Raises:
      ConfigError: the names do not fit the parameters, or there are not so many units.
    """
    present = unit_sizes(params, units)
    check_names("sizes", sizes, present)
    for name, size in sizes.items():
        if not 1 <= size <= present[name]:
            raise ConfigError(f"size of {name}", size, f"1 to {present[name]}")
    return take_units(params, units, {name: jnp.arange(size) for name, size in sizes.items()})


def mask_units(
    params: Params, units: Units, masks: Mapping[str, Bool[Array, " n"] | Float[Array, " n"]]
) -> Params:
    """Return parameters of the same shapes, multiplied by a mask along every axis of the units.

    With masks of 0 and 1 the network's function is that of the units at 1 alone, as
    :func:`take_units` gives them. Masks may be traced and differentiated. Other numbers scale both
    the weights that make a unit and those that read it.

    Args:
      params: of the network.
      units: the names of its units.
      masks: for each name one number or Boolean a unit.

    Raises:
      ConfigError: the names do not fit the parameters, a mask has another size, or a layer
        normalization mixes the units, so that their zeros would change its statistics.
    """
    leaves = leaves_of(params, units)
    sizes = sizes_of(leaves)
    check_names("masks", masks, sizes)
    mixed = set().union(*(leaf.names("normalizes") for leaf in leaves))
    for name, mask in masks.items():
        if name in mixed:
            raise ConfigError("masks", name, "units that are not normalized together")
        if mask.shape != (sizes[name],):
            raise ConfigError(f"mask of {name}", mask.shape, f"({sizes[name]},)")

    def masked(leaf: Leaf) -> Any:
        array = leaf.array
        for number in sorted({number for number, part in leaf.carried() if part.name in masks}):
            parts = leaf.axes[number] or ()
            factors = [part_factors(part, sizes, masks, array.dtype) for part in parts]
            shape = [-1 if axis == number else 1 for axis in range(array.ndim)]
            array = array * jnp.concatenate(factors).reshape(shape)
        return array

    return jax.tree.unflatten(jax.tree.structure(params), map(masked, leaves))


def part_factors(
    part: Axis | int, sizes: Mapping[str, int], masks: Mapping[str, Array], dtype: Any
) -> Float[Array, " m"]:
    """Return the mask along a part of an axis, ones where it has none.

    Args:
      part: of an axis.
      sizes: how many units each name has.
      masks: for some names one number a unit.
      dtype: of the result.
    """
    if isinstance(part, int) or part.name not in masks:
        return jnp.ones(part_size(part, sizes), dtype)
    mask = masks[part.name].astype(dtype)
    return jnp.tile(
        jnp.repeat(mask, part.each, total_repeat_length=part.each * mask.size), part.times
    )


def unit_norms(params: Params, units: Units) -> dict[str, Float[Array, " n"]]:
    """Return the Euclidean norm of all weights that belong to each unit.

    Weights from one unit to another of the same name, as in a recurrent kernel, count for both; the
    weight of a unit to itself counts twice.

    Args:
      params: of the network.
      units: the names of its units.

    Returns:
      For each name one norm a unit, with a derivative of 0 at 0.

    Raises:
      ConfigError: the names do not fit the parameters.
    """
    leaves = leaves_of(params, units)
    sizes = sizes_of(leaves)
    squares: dict[str, list[Array]] = {name: [] for name in sizes}
    for leaf in leaves:
        for number, parts in enumerate(leaf.axes):
            others = [axis for axis in range(leaf.array.ndim) if axis != number]
            along = jnp.sum(jnp.square(leaf.array), others) if parts else None
            start = 0
            for part in parts or ():
                stop = start + part_size(part, sizes)
                if isinstance(part, Axis) and along is not None:
                    own = along[start:stop].reshape(part.times, sizes[part.name], part.each)
                    squares[part.name].append(jnp.sum(own, (0, 2)))
                start = stop
    return {name: root(jnp.sum(jnp.stack(found), axis=0)) for name, found in squares.items()}


def map_state(change: Callable[[Params], Params], state: PyTree, params: Params) -> PyTree:
    """Return an optimizer state with a change made to each part shaped like the parameters.

    Those are the moments of Adam, the momentum of SGD and the like. Counts and schedules stay, and
    so do moments of some of the parameters alone, as ``optax.masked`` keeps them.

    Args:
      change: of parameters, e.g. :func:`take_units` with its units and indices.
      state: of an optimizer, such as optax makes it.
      params: those that the state belongs to, before the change.
    """
    structure: Any = jax.tree.structure(params)
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]

    def alike(node: Any) -> bool:
        leaves = jax.tree.leaves(node)
        same = jax.tree.structure(node) == structure
        return same and [getattr(leaf, "shape", None) for leaf in leaves] == shapes

    def moved(node: Any) -> Any:
        return change(node) if alike(node) else node

    return jax.tree.map(moved, state, is_leaf=alike)
