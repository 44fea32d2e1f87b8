"""Names of a network's units: which axes of which parameters belong to which units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

import jax

from metajax.core import ConfigError, Params, kind, one_of, path_name

Units = Any
"""A pytree like the parameters. A leaf is a tuple with one entry an axis, or None for no units."""


class Axis(NamedTuple):
    """Units along one axis of an array; index ``(i * units + unit) * each + j`` belongs to a unit.

    Attributes:
      name: of the units. All axes with this name are taken, dropped and repeated together.
      role: ``makes`` for weights that make the units' values, such as the columns of a kernel and
        its bias. ``reads`` for weights that multiply them, such as the rows of the next kernel.
        ``scales`` for the scale and shift of a normalization of each unit by itself, and
        ``normalizes`` for those of one over all units together, such as layer normalization.
      times: how often all units follow one another on the axis, e.g. pixels before a linear head.
      each: how many indices a unit has side by side, e.g. the size of an attention head.
    """

    name: str
    role: Literal["makes", "reads", "scales", "normalizes"] = "makes"
    times: int = 1
    each: int = 1


class Leaf(NamedTuple):
    """An array of the parameters with what its axes are.

    Attributes:
      path: its keys joined by slashes.
      array: its values or shape.
      axes: an entry an axis: parts, one after the other along the axis, or None for no units. A
        number is a part without units.
    """

    path: str
    array: Any
    axes: tuple[tuple[Axis | int, ...] | None, ...]

    def carried(self) -> list[tuple[int, Axis]]:
        """Every part that has units, with the number of its axis."""
        return [
            (number, part)
            for number, parts in enumerate(self.axes)
            for part in parts or ()
            if isinstance(part, Axis)
        ]

    def names(self, *roles: str) -> set[str]:
        """Names of the units that it has in these roles; in any role where none is given."""
        return {part.name for _, part in self.carried() if not roles or part.role in roles}


def reads(name: str, *, times: int = 1, each: int = 1) -> Axis:
    """Return the axis of weights that multiply the values of units, such as a kernel's rows.

    Args:
      name: of the units.
      times: how often all units follow one another on the axis.
      each: how many indices a unit has side by side.

    Examples:
      >>> from metajax.units import reads
      >>> first = {"kernel": (None, "h"), "bias": ("h",)}
      >>> units = {"first": first, "second": {"kernel": (reads("h"), None)}}
    """
    return Axis(name, "reads", times, each)


def is_entry(node: Any) -> bool:
    """Return whether a node of a units tree is a leaf: None or a plain tuple of axes.

    Args:
      node: of the tree.
    """
    return node is None or type(node) is tuple


def leaves_of(params: Params, units: Units) -> list[Leaf]:
    """Return the arrays of the parameters with their axes, in the order of ``jax.tree.leaves``.

    Args:
      params: a pytree of arrays or shapes.
      units: the names of its units.

    Raises:
      ConfigError: the trees differ, or an array has another number of axes than its names.
    """
    paths, structure = jax.tree_util.tree_flatten_with_path(params)
    named: Any  # jaxlib's stubs do not know that structures compare
    entries, named = jax.tree.flatten(units, is_leaf=is_entry)
    if structure != named:
        raise ConfigError("units", named, f"a tree like the parameters, {structure}")
    found = []
    for (path, array), entry in zip(paths, entries, strict=True):
        where = path_name(path)
        axes = (None,) * array.ndim if entry is None else tuple(map(_parts, entry))
        if len(axes) != array.ndim:
            expected = f"a name or None for each of the {array.ndim} axes of {where}"
            raise ConfigError("units", entry, expected)
        found.append(Leaf(where, array, axes))
    return found


def _parts(entry: Any) -> tuple[Axis | int, ...] | None:
    """An axis as its parts."""
    if entry is None:
        return None
    if isinstance(entry, Axis | str | int):
        return (Axis(entry) if isinstance(entry, str) else entry,)
    if type(entry) is tuple and None not in entry:
        return tuple(part for one in entry for part in _parts(one) or ())
    raise ConfigError("units", kind(entry), "None, a name, an Axis, or a tuple of them and numbers")


def sizes_of(leaves: Iterable[Leaf]) -> dict[str, int]:
    """Return how many units each name has.

    Args:
      leaves: of the parameters.

    Raises:
      ConfigError: axes of one name disagree, or a size does not follow from the shapes.
    """
    waiting = [
        (leaf.path, leaf.array.shape[number], parts)
        for leaf in leaves
        for number, parts in enumerate(leaf.axes)
        if parts is not None
    ]
    sizes: dict[str, int] = {}
    while waiting:
        left = []
        for path, size, parts in waiting:
            unknown = {part.name for part in parts if isinstance(part, Axis)} - set(sizes)
            if len(unknown) > 1:
                left.append((path, size, parts))
                continue
            known = [part_size(part, sizes | dict.fromkeys(unknown, 0)) for part in parts]
            rest = size - sum(known)
            for name in unknown:
                wanted = [p for p in parts if isinstance(p, Axis) and p.name == name]
                per_unit = sum(part.times * part.each for part in wanted)
                sizes[name], rest = divmod(rest, per_unit)
            if rest or not all(sizes[name] >= 1 for name in unknown):
                expected = f"an axis made of {', '.join(map(str, parts))} with {sizes}"
                raise ConfigError(path, size, expected)
        if len(left) == len(waiting):
            names = sorted({p.name for *_, parts in left for p in parts if isinstance(p, Axis)})
            raise ConfigError("units", names, "names each of which has an axis of its own")
        waiting = left
    return sizes


def part_size(part: Axis | int, sizes: Mapping[str, int]) -> int:
    """Return how many indices a part of an axis has.

    Args:
      part: of an axis.
      sizes: how many units each name has.
    """
    return part if isinstance(part, int) else part.times * sizes[part.name] * part.each


def check_names(field: str, given: Iterable[str], sizes: Mapping[str, int]) -> None:
    """Raise where names are not those of units.

    Args:
      field: as the error calls them.
      given: the names.
      sizes: of all units.

    Raises:
      ConfigError: a name is unknown.
    """
    for name in given:
        one_of(field, name, sizes)


def renamed(entry: Any, names: Mapping[str, str], *roles: str) -> Any:
    """Return a leaf of a units tree with other names.

    Args:
      entry: of one array.
      names: old names and new ones; others stay.
      *roles: of the axes whose names change; all where none is given.
    """

    def new(part: Axis | int) -> Axis | int | str:
        if isinstance(part, int):
            return part
        if not roles or part.role in roles:
            part = part._replace(name=names.get(part.name, part.name))
        return part.name if part == Axis(part.name) else part

    def axis(parts: tuple[Axis | int, ...] | None) -> Any:
        if parts is None:
            return None
        return new(parts[0]) if len(parts) == 1 else tuple(map(new, parts))

    return None if entry is None else tuple(axis(_parts(one)) for one in entry)
