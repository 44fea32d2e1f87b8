"""Deeper networks that compute what the shallow ones did, after Net2Net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from metajax.core import ConfigError, Params
from metajax.units.axes import (
    Axis,
    Leaf,
    Units,
    is_entry,
    leaves_of,
    part_size,
    reads,
    renamed,
    sizes_of,
)
from metajax.units.taking import map_state


def deepen(
    params: Params,
    units: Units,
    after: str,
    activation: Callable[[Array], Array] | None = None,
) -> tuple[Params, Units]:
    """Return parameters and units of a network with one more layer and the same function.

    The new layer has the parameters of the layer at ``after`` by name, and comes behind it. Layers
    of the same prefix move up: ``deepen(params, units, "Dense_0", jax.nn.relu)`` turns ``Dense_1``
    into ``Dense_2``. What the new layer computes depends on the units:

    - A layer that reads units and adds to the same units, as in a residual stream, is copied, and
      the weights that add to the stream are zeros. Any activation will do.
    - Any other layer is the identity (Net2DeeperNet: Chen et al. 2016, arXiv 1511.05641, section
      2.3): kernels from its inputs to its outputs are identities, in the middle of their pixels for
      a convolution. This needs an activation that does nothing when it is applied again, as ReLU.

    A layer may be a whole block, such as ``blocks_0`` of a Transformer or ``round_0`` of a graph
    network. An array without a name for what it reads, such as the first kernel, is taken to read
    its input along the axis next to that of its units.

    Args:
      params: of the network.
      units: the names of its units.
      after: the path of a layer whose key ends in a number, e.g. ``encoder/layer_0``.
      activation: what follows the layer. A residual one needs none.

    Returns:
      Parameters and units of the deeper network. Names of new units have a prime.

    Raises:
      ConfigError: there is no such layer, its outputs are normalized, it has several inputs or
        outputs or a kernel of an even number of pixels, or the activation does not allow it.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.nn import mlp
      >>> from metajax.units import deepen, mlp_units
      >>> x = jax.random.normal(jax.random.key(0), (5, 3))
      >>> params = mlp([8], 2).init(jax.random.key(1), x)
      >>> deep, units = deepen(params, mlp_units(params), "Dense_0", jax.nn.relu)
      >>> bool(jnp.array_equal(mlp([8, 8], 2).apply(deep, x), mlp([8], 2).apply(params, x)))
      True
    """
    made = _new_layer(params, units, after)
    if not made.residual:
        _check_activation(activation)
    named = jax.tree.map(lambda entry: renamed(entry, made.moved, "reads"), units, is_leaf=is_entry)
    # the layer itself still reads and makes what it did
    named = _replaced(named, after, _at(units, after))
    return _inserted(params, after, made.params), _inserted(named, after, made.units)


def deepen_state(state: PyTree, params: Params, units: Units, after: str) -> PyTree:
    """Return the state of an optimizer for what :func:`deepen` makes, with zeros for the new layer.

    Args:
      state: of an optimizer, for the shallow network.
      params: of the shallow network.
      units: the names of its units.
      after: as given to :func:`deepen`.

    Raises:
      ConfigError: as :func:`deepen` does.
    """
    zeros = jax.tree.map(jnp.zeros_like, _new_layer(params, units, after).params)
    return map_state(lambda moments: _inserted(moments, after, zeros), state, params)


class _NewLayer(NamedTuple):
    """A layer to be inserted; ``moved`` are names that later layers read, and their new names."""

    params: Params
    units: Units
    moved: dict[str, str]
    residual: bool


def _new_layer(params: Params, units: Units, after: str) -> _NewLayer:
    """The layer that comes behind ``after``."""
    _check_place(params, after)
    leaves = leaves_of(params, units)
    inside: list[Leaf] = []
    outside: list[Leaf] = []
    for leaf in leaves:
        (inside if f"{leaf.path}/".startswith(f"{after}/") else outside).append(leaf)
    made, read = _names(inside, "makes"), _names(inside, "reads")
    stream = made & read & _names(outside, "makes")
    fresh = _fresh(made - stream, _names(leaves))
    if stream:
        return _silent_copy(params, units, after, stream, fresh)

    outputs, inputs = made & _names(outside, "reads"), read - made
    if len(outputs) != 1 or len(inputs) > 1:
        expected = f"a layer with one input and one output, not {sorted(inputs)}, {sorted(outputs)}"
        raise ConfigError("after", after, expected)
    (output,), source = outputs, next(iter(inputs), None)
    kernels = _shortest(inside, source, output)
    through = set(kernels.values())
    if not kernels:
        raise ConfigError("after", after, f"a layer with kernels from its inputs to {output}")
    if any(leaf.names("scales", "normalizes") & through for leaf in leaves):
        raise ConfigError("after", after, "a layer whose outputs are not normalized")
    sizes = sizes_of(leaves)
    size = sizes[output]
    # the new layer's own units are as many as it reads; what the layer read, it reads from it
    sizes |= dict.fromkeys(through, size)
    names = fresh if source is None else fresh | {source: output}
    arrays, entries = [], []
    for leaf, entry in zip(
        inside, jax.tree.leaves(_at(units, after), is_leaf=is_entry), strict=True
    ):
        array, entry = leaf.array, renamed(entry, names)
        if leaf.path in kernels:
            alone = sum(other.array.ndim > 1 for other in inside) == 1
            array, entry = _identity(leaf, entry, reads(output), size, after, alone)
        elif leaf.names("makes") & through:
            array = jnp.zeros(_shape(leaf, sizes), array.dtype)
        elif source is not None and source in leaf.names() and sizes[source] != size:
            raise ConfigError("after", after, "a layer with as many outputs as inputs")
        arrays.append(array)
        entries.append(entry)
    structure = jax.tree.structure(_at(params, after))
    layer, named = (jax.tree.unflatten(structure, values) for values in (arrays, entries))
    return _NewLayer(layer, named, {output: fresh[output]}, False)


def _names(leaves: list[Leaf], *roles: str) -> set[str]:
    return set().union(*(leaf.names(*roles) for leaf in leaves))


def _fresh(names: set[str], taken: set[str]) -> dict[str, str]:
    """New names, with as many primes as make them different from all others."""
    found: dict[str, str] = {}
    for name in sorted(names):
        new = f"{name}'"
        while new in taken or new in found.values():
            new += "'"
        found[name] = new
    return found


def _silent_copy(
    params: Params, units: Units, after: str, stream: set[str], fresh: Mapping[str, str]
) -> _NewLayer:
    """A copy of a layer that adds nothing to its stream."""
    block, named = _at(params, after), _at(units, after)
    arrays = [
        jnp.zeros_like(leaf.array) if leaf.names("makes") & stream else leaf.array
        for leaf in leaves_of(block, named)
    ]
    new = jax.tree.unflatten(jax.tree.structure(block), arrays)
    named = jax.tree.map(lambda entry: renamed(entry, fresh), named, is_leaf=is_entry)
    return _NewLayer(new, named, {}, True)


def _shortest(leaves: list[Leaf], source: str | None, output: str) -> dict[str, str]:
    """Paths of the kernels of the shortest way from inputs to outputs, and what each makes."""
    ways: dict[str | None, dict[str, str]] = {source: {}}
    waiting = [source]
    while waiting and output not in ways:
        here = waiting.pop(0)
        for leaf in leaves:
            read, made = leaf.names("reads"), leaf.names("makes") - set(ways)
            if leaf.array.ndim > 1 and read == ({here} - {None}) and len(made) == 1:
                ways |= {name: ways[here] | {leaf.path: name} for name in made}
                waiting += made
    return ways.get(output, {})


def _shape(leaf: Leaf, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(
        size if parts is None else sum(part_size(part, sizes) for part in parts)
        for size, parts in zip(leaf.array.shape, leaf.axes, strict=True)
    )


def _identity(
    leaf: Leaf, entry: tuple[Any, ...], read: Axis, size: int, after: str, alone: bool
) -> tuple[Array, tuple[Any, ...]]:
    """An array that hands on the values of its units, and the names of its axes.

    A layer by itself reads the layer before it and nothing else, whatever the first one reads;
    within a block it has the inputs that the block's kernel has.
    """
    making, reading = (
        sorted({number for number, part in leaf.carried() if part.role == role})
        for role in ("makes", "reads")
    )
    if not all(_is_plain(leaf.axes[axis]) for axis in making + ([] if alone else reading)):
        raise ConfigError("after", after, f"a layer whose {leaf.path} has one index a unit")
    own = making[0]
    # a kernel that reads what has no name: kernels have the axes of inputs and outputs together
    inputs = reading[0] if reading else own - 1 if own else 1
    pixels = [1 if axis in (own, inputs) else n for axis, n in enumerate(leaf.array.shape)]
    if not all(n % 2 for n in pixels):
        raise ConfigError("after", after, f"a layer whose {leaf.path} has an odd number of pixels")
    shape = [size if axis in (own, inputs) else n for axis, n in enumerate(pixels)]
    rows: list[Any] = [n // 2 for n in pixels]
    rows[own] = rows[inputs] = jnp.arange(size)
    array = jnp.zeros(shape, leaf.array.dtype).at[tuple(rows)].set(1)
    if alone or not reading:
        entry = tuple(read if axis == inputs else name for axis, name in enumerate(entry))
    return array, entry


def _is_plain(parts: tuple[Axis | int, ...] | None) -> bool:
    """Whether an axis has one index for each unit of one name."""
    match parts:
        case (Axis(times=1, each=1),):
            return True
    return False


def _check_activation(activation: Callable[[Array], Array] | None) -> None:
    """Raise where applying an activation again changes what it gives."""
    expected = "an activation with f(f(x)) = f(x), such as jax.nn.relu"
    if activation is None:
        raise ConfigError("activation", activation, expected)
    with jax.ensure_compile_time_eval():
        once = activation(jnp.linspace(-8, 8, 1001))
        twice = activation(once)
        same = np.allclose(once, twice, rtol=1e-6, atol=1e-6)
    if not same:
        raise ConfigError("activation", getattr(activation, "__name__", activation), expected)


def _check_place(params: Params, after: str) -> None:
    """Raise where a path leads to no layer with a number."""
    node: Any = params
    for part in after.split("/"):
        if not isinstance(node, Mapping) or part not in node:
            raise ConfigError("after", after, "the path of a layer of the parameters")
        node = node[part]
    if not after[-1:].isdigit():
        raise ConfigError("after", after, "a layer whose key ends in a number")


def _at(tree: Any, path: str) -> Any:
    for part in path.split("/"):
        tree = tree[part]
    return tree


def _replaced(tree: Any, path: str, value: Any) -> Any:
    """A tree of dicts with another value at a path."""
    first, _, rest = path.partition("/")
    return {**tree, first: _replaced(tree[first], rest, value) if rest else value}


def _inserted(tree: Any, after: str, layer: Any) -> Any:
    """A tree of dicts with one more layer; later ones of its prefix move up."""
    parent, _, last = after.rpartition("/")
    siblings = _at(tree, parent) if parent else tree
    prefix = last.rstrip("0123456789")
    number = int(last.removeprefix(prefix))
    moved = {}
    for name, value in siblings.items():
        found = name.removeprefix(prefix) if name.startswith(prefix) else ""
        later = found.isdigit() and int(found) > number
        moved[f"{prefix}{int(found) + 1}" if later else name] = value
    moved[f"{prefix}{number + 1}"] = layer
    return _replaced(tree, parent, moved) if parent else moved
