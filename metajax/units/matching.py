"""Align the units of one network with those of another."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from metajax.core import ConfigError, Params
from metajax.units.axes import Axis, Leaf, Units, leaves_of, part_size, sizes_of
from metajax.units.taking import taken_axes

Orders = dict[str, Int[np.ndarray, " n"]]
"""A permutation for each name."""
SMALLEST_GAIN = 1e-9
"""Relative gain below which an assignment counts as no better: rounding of the sums."""


def match_units(
    params: Params, reference: Params, units: Units, *, rounds: int = 100
) -> dict[str, Int[np.ndarray, " n"]]:
    """Return the order of the units in which a network's weights are nearest to another's.

    Each name's units are assigned to those of the reference so that the inner product of their
    weights is greatest, given the order of all other names. Names follow one another until no order
    changes (weight matching; Ainsworth, Hayase and Srinivasa 2023, arXiv 2209.04836). There are two
    starts, and the nearer result counts. One is the network's own order, so the result is never
    further from the reference. The other assigns layer by layer, each by weights whose inputs are
    aligned already, so a feed-forward network that has been permuted is aligned exactly. In
    general the result is a local optimum. All of it runs on the host.

    Args:
      params: of the network that is aligned.
      reference: of the network that it is compared with, of the same shapes.
      units: the names of their units.
      rounds: at most so many passes over all names, from each start.

    Returns:
      For each name a permutation, for :func:`permute_units`.

    Raises:
      ConfigError: the names do not fit the parameters, or the networks have different shapes.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> import numpy as np
      >>> from metajax.nn import mlp
      >>> from metajax.units import match_units, mlp_units, permute_units
      >>> params = mlp([4], 2).init(jax.random.key(0), jnp.zeros((1, 3)))
      >>> units = mlp_units(params)
      >>> other = permute_units(params, units, {"h0": np.array([2, 0, 3, 1])})
      >>> match_units(other, params, units)
      {'h0': array([1, 3, 0, 2])}
    """
    leaves, goals = (_on_host(leaves_of(some, units)) for some in (params, reference))
    for leaf, goal in zip(leaves, goals, strict=True):
        if leaf.array.shape != goal.array.shape:
            expected = f"{leaf.array.shape}, as in params"
            raise ConfigError(f"reference {goal.path}", goal.array.shape, expected)
    sizes = sizes_of(leaves)
    own = {name: np.arange(size) for name, size in sizes.items()}
    found = [
        _improved(leaves, goals, sizes, start, rounds)
        for start in (own, _one_by_one(leaves, goals, sizes))
    ]
    # where both are as good, the network's own order leads to it
    return max(found, key=lambda order: _total(leaves, goals, sizes, order))


def _one_by_one(leaves: list[Leaf], goals: list[Leaf], sizes: Mapping[str, int]) -> Orders:
    """Orders by the weights that depend on no name that is not aligned yet, where there are any."""
    order = {name: np.arange(size) for name, size in sizes.items()}
    waiting, all_leaves = list(sizes), set(range(len(leaves)))
    while waiting:
        compared = {name: _ready(leaves, name, set(waiting)) for name in waiting}
        name = next((name for name in waiting if compared[name]), waiting[0])
        alike = _similarity(leaves, goals, sizes, order, name, compared[name] or all_leaves)
        order[name] = order[name][_assigned(alike)]
        waiting.remove(name)
    return order


def _improved(
    leaves: list[Leaf], goals: list[Leaf], sizes: Mapping[str, int], start: Orders, rounds: int
) -> Orders:
    """Orders in which no name alone can be assigned better, given the others."""
    order, all_leaves = dict(start), set(range(len(leaves)))
    for _ in range(rounds):
        changed = False
        for name in sizes:
            alike = _similarity(leaves, goals, sizes, order, name, all_leaves)
            best = _assigned(alike)
            gain = alike[np.arange(len(best)), best].sum() - np.trace(alike)
            if gain > SMALLEST_GAIN * np.abs(alike).sum():
                order[name], changed = order[name][best], True
        if not changed:
            break
    return order


def _total(leaves: list[Leaf], goals: list[Leaf], sizes: Mapping[str, int], order: Orders) -> float:
    """The inner product of all weights with those of the reference."""
    pairs = zip(leaves, goals, strict=True)
    return sum(float(np.vdot(goal.array, _ordered(leaf, sizes, order))) for leaf, goal in pairs)


def _ordered(leaf: Leaf, sizes: Mapping[str, int], order: Orders) -> Float[np.ndarray, "..."]:
    """The array of a leaf with its units in some order."""
    array = leaf.array
    chosen: Any = order  # indices that are known may be of NumPy
    for axis, rows in taken_axes(leaf, sizes, chosen):
        array = np.take(array, rows, axis=axis)
    return array


def _on_host(leaves: list[Leaf]) -> list[Leaf]:
    """The leaves with their arrays in float64."""
    return [leaf._replace(array=np.asarray(jax.device_get(leaf.array), float)) for leaf in leaves]


def _ready(leaves: list[Leaf], name: str, waiting: Set[str]) -> set[int]:
    """The leaves that have units of a name, and of no other that is not aligned yet."""
    return {
        number
        for number, leaf in enumerate(leaves)
        if leaf.names() & waiting == {name} and sum(p.name == name for _, p in leaf.carried()) == 1
    }


def _assigned(alike: Float[np.ndarray, "n n"]) -> Int[np.ndarray, " n"]:
    """The unit for each unit of the reference."""
    from scipy.optimize import linear_sum_assignment  # a quarter of a second, for this alone

    return linear_sum_assignment(alike, maximize=True)[1]


def _similarity(
    leaves: list[Leaf],
    goals: list[Leaf],
    sizes: Mapping[str, int],
    order: Orders,
    name: str,
    of: Set[int],
) -> Float[np.ndarray, "n n"]:
    """Inner products of the weights of each unit of the reference with those of each unit."""
    alike = np.zeros((sizes[name], sizes[name]))
    for number in sorted(of):
        if name not in leaves[number].names():
            continue
        array = _ordered(leaves[number], sizes, order)
        for axis, parts in enumerate(leaves[number].axes):
            start = 0
            for part in parts or ():
                stop = start + part_size(part, sizes)
                if isinstance(part, Axis) and part.name == name:
                    mine, goal = (
                        _by_unit(some, axis, slice(start, stop), part)
                        for some in (array, goals[number].array)
                    )
                    alike += goal @ mine.T
                start = stop
    return alike


def _by_unit(
    array: Float[np.ndarray, "..."], axis: int, rows: slice, part: Axis
) -> Float[np.ndarray, "n weights"]:
    """The weights of each unit along a part of an axis, as rows."""
    along = np.moveaxis(array, axis, 0)[rows]
    each = along.reshape(part.times, -1, part.each, int(np.prod(along.shape[1:])))
    return np.moveaxis(each, 1, 0).reshape(each.shape[1], -1)
