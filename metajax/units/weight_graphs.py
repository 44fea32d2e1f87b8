"""A network as a graph: a node for each unit, an edge for each pair of units that has weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from metajax.core import ConfigError, Params
from metajax.nn import Graph
from metajax.units.axes import Axis, Leaf, Units, leaves_of, sizes_of


class _Side(NamedTuple):
    """An axis of an array: its nodes, and how many numbers each has on it."""

    group: str
    size: int
    times: int
    each: int

    @property
    def numbers(self) -> int:
        return self.times * self.each


class _Place(NamedTuple):
    """Where the numbers of an array are in the graph."""

    leaf: Leaf
    sides: tuple[_Side, ...]  # one of an array of node features, else senders and receivers
    first: int  # row of the edges, or column of the node features
    features: int


class _Plan(NamedTuple):
    """The places of all arrays, and the first node and the number of nodes of each group."""

    places: list[_Place]
    nodes: dict[str, tuple[int, int]]
    node_features: int
    num_edges: int
    edge_features: int


def weight_graph(params: Params, units: Units) -> Graph:
    """Return the graph of a network's weights (Yu et al. 2025, arXiv 2506.12041).

    Every unit is a node. So are the inputs and the outputs of a layer that have no name, such as
    pixels and classes. An array with one axis, such as a bias or a scale, gives each node on it
    features. In an array with more axes the last two are ends of edges, which have all else as
    features: the taps of a convolution, or the pixels before a linear head. Arrays have columns of
    their own among the features of nodes; edges with fewer features end in zeros. The graph of a
    network with permuted units is the same graph with permuted nodes.

    Args:
      params: of the network.
      units: the names of its units.

    Returns:
      The graph, from which :func:`graph_weights` makes the network again.

    Raises:
      ConfigError: the names do not fit the parameters, or an axis joins several parts.
    """
    plan = _planned(leaves_of(params, units))
    total = sum(size for _, size in plan.nodes.values())
    dtype = jnp.result_type(*jax.tree.leaves(params))
    nodes = jnp.zeros((total, plan.node_features), dtype)
    edges, senders, receivers = [jnp.zeros((0, plan.edge_features), dtype)], [], []
    for place in plan.places:
        rows = _rows(place)
        starts = [plan.nodes[side.group][0] for side in place.sides]
        if len(place.sides) == 1:
            columns = slice(place.first, place.first + place.features)
            where = slice(starts[0], starts[0] + place.sides[0].size)
            nodes = nodes.at[where, columns].set(rows)
            continue
        edges.append(jnp.pad(rows, [(0, 0), (0, plan.edge_features - place.features)]))
        ends = np.indices([side.size for side in place.sides]).reshape(2, -1)
        senders.append(starts[0] + ends[0])
        receivers.append(starts[1] + ends[1])
    return Graph(nodes, _joined(senders), _joined(receivers), jnp.concatenate(edges))


def weight_kinds(
    params: Params, units: Units
) -> tuple[Int32[np.ndarray, " nodes"], Int32[np.ndarray, " edges"]]:
    """Return what the nodes and the edges of a network's graph are, each kind by its number.

    Nodes of one kind are units of one name, or the inputs or outputs of a layer. Edges of one kind
    are weights of one array. The order of units does not change the kind of any.

    Args:
      params: of the network, or their shapes.
      units: the names of its units.

    Raises:
      ConfigError: as by :func:`weight_graph`.
    """
    plan = _planned(leaves_of(params, units))
    nodes = np.repeat(np.arange(len(plan.nodes)), [size for _, size in plan.nodes.values()])
    pairs = [
        math.prod(side.size for side in place.sides)
        for place in plan.places
        if len(place.sides) == 2
    ]
    return nodes.astype(np.int32), np.repeat(np.arange(len(pairs)), pairs).astype(np.int32)


def graph_weights(graph: Graph, like: Params, units: Units) -> Params:
    """Return the network of a graph, bit for bit that of which :func:`weight_graph` made it.

    Args:
      graph: with features that may have been changed, of the same nodes and edges.
      like: parameters of the same shapes.
      units: the names of their units.

    Raises:
      ConfigError: the graph is of a network with other shapes.
    """
    plan = _planned(leaves_of(like, units))
    total = sum(size for _, size in plan.nodes.values())
    shapes = (total, plan.node_features), (plan.num_edges, plan.edge_features)
    found = graph.nodes.shape, None if graph.edges is None else graph.edges.shape
    if found != shapes:
        raise ConfigError("graph", found, f"nodes and edges of shapes {shapes}")
    arrays = []
    for place in plan.places:
        if len(place.sides) == 1:
            start, size = plan.nodes[place.sides[0].group]
            rows = graph.nodes[start : start + size, place.first : place.first + place.features]
        else:
            assert graph.edges is not None
            num = math.prod(side.size for side in place.sides)
            rows = graph.edges[place.first : place.first + num, : place.features]
        arrays.append(_array(place, rows).astype(place.leaf.array.dtype))
    return jax.tree.unflatten(jax.tree.structure(like), arrays)


def _joined(parts: Sequence[np.ndarray]) -> Int32[np.ndarray, " edges"]:
    return np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32)


def _planned(leaves: list[Leaf]) -> _Plan:
    """Find the nodes and the places of all arrays; nothing is computed."""
    sizes = sizes_of(leaves)
    groups: dict[str, int] = {}
    columns: dict[str, int] = {}
    places, row = [], 0
    for leaf in leaves:
        shape = leaf.array.shape
        parent = leaf.path.rpartition("/")[0]
        sides = []
        ends = ("outputs",) if len(shape) == 1 else ("inputs", "outputs")
        for end, number in zip(ends, range(max(len(shape) - 2, 0), len(shape)), strict=True):
            parts = leaf.axes[number]
            if parts is not None and (len(parts) > 1 or not isinstance(parts[0], Axis)):
                raise ConfigError(leaf.path, parts, "axes of one part each")
            if parts is None:
                side = _Side(f"{parent}/{end}", shape[number], 1, 1)
            else:
                (axis,) = parts
                assert isinstance(axis, Axis)
                side = _Side(axis.name, sizes[axis.name], axis.times, axis.each)
            if groups.setdefault(side.group, side.size) != side.size:
                expected = f"{groups[side.group]}, as in the layer's other arrays"
                raise ConfigError(leaf.path, side.size, expected)
            sides.append(side)
        if any(axes is not None for axes in leaf.axes[:-2]):
            raise ConfigError(leaf.path, leaf.axes, "units on the last two axes alone")
        features = math.prod(shape[:-2]) * math.prod(side.numbers for side in sides)
        if len(sides) == 1:
            group = sides[0].group
            first = columns.get(group, 0)
            columns[group] = first + features
        else:
            first, row = row, row + math.prod(side.size for side in sides)
        places.append(_Place(leaf, tuple(sides), first, features))
    starts = np.cumsum([0, *groups.values()])
    nodes = {
        group: (int(start), size)
        for (group, size), start in zip(groups.items(), starts[:-1], strict=True)
    }
    edge_features = max((place.features for place in places if len(place.sides) == 2), default=0)
    return _Plan(places, nodes, max(columns.values(), default=0), row, edge_features)


def _split(place: _Place) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape of an array with its axes in parts, and these parts with the nodes' in front."""
    taps = place.leaf.array.shape[: -len(place.sides)]
    shape, ends = list(taps), []
    for side in place.sides:
        ends.append(len(shape) + 1)
        shape += [side.times, side.size, side.each]
    others = [axis for axis in range(len(shape)) if axis not in ends]
    return tuple(shape), (*ends, *others)


def _rows(place: _Place) -> Float[Array, "rows features"]:
    """The numbers of an array by node or by pair of nodes."""
    shape, order = _split(place)
    moved = jnp.transpose(jnp.asarray(place.leaf.array).reshape(shape), order)
    return moved.reshape(-1, place.features)


def _array(place: _Place, rows: Float[Array, "rows features"]) -> Any:
    """The inverse of :func:`_rows`."""
    shape, order = _split(place)
    moved = rows.reshape([shape[axis] for axis in order])
    back = [int(axis) for axis in np.argsort(order)]
    return jnp.transpose(moved, back).reshape(place.leaf.array.shape)
