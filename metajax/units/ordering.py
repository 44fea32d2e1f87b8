"""An order of units in which neighbors are alike."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32

from metajax.core import ConfigError, Params
from metajax.units.axes import Axis, Units, check_names, leaves_of, sizes_of

LEAST = 1e-5
"""Part of the path's length that an exchange has to save: less may be rounding."""


def unit_rows(params: Params, units: Units, name: str) -> Float[Array, "n weights"]:
    """Return all weights that belong to each unit of a name, a row a unit.

    Args:
      params: of the network.
      units: the names of its units.
      name: of the units; each of their axes has no other parts.

    Raises:
      ConfigError: the name is unknown, or an axis has several parts.
    """
    leaves = leaves_of(params, units)
    check_names("name", [name], sizes_of(leaves))
    rows = []
    for leaf in leaves:
        for number, part in leaf.carried():
            if part.name == name:
                if leaf.axes[number] != (Axis(name, part.role),):
                    raise ConfigError("units", leaf.path, f"axes of {name} without other parts")
                moved = jnp.moveaxis(leaf.array, number, 0)
                rows.append(moved.reshape(len(moved), -1))
    return jnp.concatenate(rows, axis=1)


def path_length(rows: Float[Array, "n features"], order: Int32[Array, " n"]) -> Float[Array, ""]:
    """Return the sum of the L1 distances between neighbors.

    Args:
      rows: of all units.
      order: of the rows.
    """
    there = rows[order]
    return jnp.sum(jnp.abs(there[1:] - there[:-1]))


def smooth_path(rows: Float[Array, "n features"]) -> Int32[Array, " n"]:
    """Return an order of rows in which neighbors are alike: a short open path through all of them.

    Distances are L1. The path goes from each start to the nearest row that is left; the shortest of
    these paths, or the present order where that is shorter, is improved by 2-opt: the part of the
    path is reversed whose reversal saves most, until none saves anything. So the path is never
    longer than the present one. The order of units in Neural Metamorphosis (Yang and Wang 2024,
    arXiv 2410.11878, section 3.3), where a solver of the traveling salesman's problem finds it.
    All of it can be traced.

    Args:
      rows: two or more.

    Raises:
      ConfigError: fewer than two rows.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.units import smooth_path
      >>> smooth_path(jnp.array([[0.0], [5.0], [1.0], [3.0]])).tolist()
      [0, 2, 3, 1]
    """
    num = len(rows)
    if num < 2:
        raise ConfigError("rows", num, "two or more")
    apart = jax.lax.map(lambda row: jnp.sum(jnp.abs(rows - row[None]), axis=1), rows)
    places = jnp.arange(num, dtype=jnp.int32)

    def nearest_first(start: Int32[Array, ""]) -> Int32[Array, " n"]:
        def step(carry: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
            here, seen = carry
            there = jnp.argmin(jnp.where(seen, jnp.inf, apart[here])).astype(jnp.int32)
            return (there, seen.at[there].set(True)), there

        _, rest = jax.lax.scan(step, (start, places == start), length=num - 1)
        return jnp.concatenate([start[None], rest])

    candidates = jnp.concatenate([places[None], jax.vmap(nearest_first)(places)])
    lengths = jnp.sum(apart[candidates[:, 1:], candidates[:, :-1]], axis=1)
    best = candidates[jnp.argmin(lengths)]
    # a row without a place, at no distance from any, before the first and after the last
    ends = jnp.pad(apart, (0, 1))

    def best_exchange(order: Int32[Array, " n"]) -> tuple[Array, Array]:
        before = jnp.concatenate([jnp.full(1, num, jnp.int32), order[:-1]])
        after = jnp.concatenate([order[1:], jnp.full(1, num, jnp.int32)])
        new = ends[before[:, None], order[None]] + ends[order[:, None], after[None]]
        old = ends[before, order][:, None] + ends[order, after][None]
        saved = jnp.where(places[:, None] < places[None], old - new, 0)
        return jnp.max(saved), jnp.argmax(saved).astype(jnp.int32)

    def improve(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        order, _, place = carry
        first, last = place // num, place % num
        inside = (places >= first) & (places <= last)
        order = order[jnp.where(inside, first + last - places, places)]
        return (order, *best_exchange(order))

    worth = LEAST * jnp.min(lengths)
    found = jax.lax.while_loop(
        lambda carry: carry[1] > worth, improve, (best, *best_exchange(best))
    )
    return found[0]
