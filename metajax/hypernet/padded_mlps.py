"""Multi-layer perceptrons of many sizes as one padded network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.core import ConfigError, Network, Params, check_sizes
from metajax.hypernet.layers import empty_layer
from metajax.hypernet.program_graphs import ProgramGraph, program_graph
from metajax.nn import Graph, draw_normals, mlp

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
"""Activations of the networks, by name."""


class MLPShape(NamedTuple):
    """The architecture of a multi-layer perceptron.

    Attributes:
      widths: sizes of its hidden layers, one or more.
      activation: ``relu`` or ``tanh``.
    """

    widths: tuple[int, ...]
    activation: str


class MLPArchitecture(NamedTuple):
    """An architecture as arrays, or several on a leading axis.

    Attributes:
      graph: of the network's program, padded.
      nodes: the node of each leaf of the padded network; any for one that is not there.
      widths: sizes of the hidden layers; 0 for one that is not there.
      tanh: whether the activation is ``tanh``.
    """

    graph: Graph
    nodes: Int32[Array | np.ndarray, "*many leaves"]
    widths: Int32[Array | np.ndarray, "*many layers"]
    tanh: Bool[Array | np.ndarray, "*many"]


class PaddedMLP(NamedTuple):
    """Multi-layer perceptrons of many sizes, whose parameters have one shape.

    Attributes:
      like: parameters of that shape, zeros.
      architectures: ``architectures(shapes) -> MLPArchitecture``, on a leading axis.
      masks: ``masks(architecture) -> masks``, 1 where an architecture has entries and 0 elsewhere.
      random: ``random(key, architecture) -> params``: He-normal weights for the inputs that a unit
        has, and biases of zero (He et al. 2015, arXiv 1502.01852).
      apply: ``apply(params, architecture, inputs[n, features]) -> outputs``, for parameters that
        are zero where the masks are.
      alone: ``alone(params, shape) -> (network, params)``, the network of one architecture at its
        own size, a :func:`metajax.nn.mlp`.
    """

    like: Params
    architectures: Callable[[Sequence[MLPShape]], MLPArchitecture]
    masks: Callable[[MLPArchitecture], Params]
    random: Callable[[Key[Array, ""], MLPArchitecture], Params]
    apply: Callable[[Params, MLPArchitecture, Array], Array]
    alone: Callable[[Params, MLPShape], tuple[Network, Params]]


def random_shapes(
    num: int, layers: tuple[int, int], widths: tuple[int, int], seed: int
) -> list[MLPShape]:
    """Draw architectures: a number of hidden layers, a width for each, and an activation.

    Args:
      num: architectures.
      layers: the fewest hidden layers and the most.
      widths: the smallest hidden layer and the largest, units.
      seed: of the draw.

    Returns:
      The architectures, each choice uniform.

    Raises:
      ConfigError: a number is below 1, or a range has no members.
    """
    check_sizes(num=num)
    for field, (least, most) in (("layers", layers), ("widths", widths)):
        if not 1 <= least <= most:
            raise ConfigError(field, (least, most), "two whole numbers of 1 or more, in order")
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(num):
        depth = draw.integers(layers[0], layers[1] + 1)
        sizes = draw.integers(widths[0], widths[1] + 1, depth)
        activation = draw.choice(list(ACTIVATIONS))
        found.append(MLPShape(tuple(map(int, sizes)), str(activation)))
    return found


def padded_mlp(inputs: int, outputs: int, layers: int, width: int) -> PaddedMLP:
    """Make one network that computes what multi-layer perceptrons of many sizes do.

    Hidden layers that an architecture lacks are passed by, and units that it lacks are zeros. So
    one compiled program serves all architectures, which can be traced and mapped over.

    Args:
      inputs: features of the inputs.
      outputs: of the networks.
      layers: the most hidden layers.
      width: the largest hidden layer, units.

    Returns:
      The network.

    Raises:
      ConfigError: a size is below 1; or, by ``architectures`` and ``alone``, an architecture does
        not fit.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import MLPShape, padded_mlp
      >>> target = padded_mlp(inputs=3, outputs=2, layers=2, width=8)
      >>> both = target.architectures([MLPShape((4,), "relu"), MLPShape((8, 6), "tanh")])
      >>> keys = jax.random.split(jax.random.key(0))
      >>> weights = jax.vmap(target.random)(keys, both)
      >>> jax.vmap(target.apply, (0, 0, None))(weights, both, jnp.ones((5, 3))).shape
      (2, 5, 2)
    """
    check_sizes(inputs=inputs, outputs=outputs, layers=layers, width=width)
    sizes = [inputs] + [width] * layers
    like: Params = {f"layer_{n}": empty_layer(size, width) for n, size in enumerate(sizes[:-1])}
    like["head"] = empty_layer(width, outputs)
    slots = list(like)
    largest = _program(MLPShape((1,) * layers, "relu"), inputs, outputs).graph

    def architectures(shapes: Sequence[MLPShape]) -> MLPArchitecture:
        made = []
        for shape in shapes:
            _check(shape, layers, width)
            program = _program(shape, inputs, outputs)
            depth = len(shape.widths)
            # in the order of the leaves of `like`: its layers sorted, the bias of each first
            places = {f"layer_{n}": n for n in range(depth)} | {"head": depth}
            names = [
                f"Dense_{places[slot]}/{leaf}" if slot in places else None
                for slot in sorted(slots)
                for leaf in ("bias", "kernel")
            ]
            nodes = [0 if name is None else program.parameters[name] for name in names]
            graph = _padded(program.graph, len(largest.nodes), len(largest.senders))
            made.append(
                MLPArchitecture(
                    graph,
                    np.array(nodes, np.int32),
                    np.array(shape.widths + (0,) * (layers - depth), np.int32),
                    np.array(shape.activation == "tanh"),
                )
            )
        return jax.tree.map(lambda *leaves: jnp.asarray(np.stack(leaves)), *made)

    def masks(architecture: MLPArchitecture) -> Params:
        widths = architecture.widths
        first = (jnp.arange(width)[None] < widths[:, None]).astype(jnp.float32)
        last = first[jnp.sum(widths > 0) - 1]
        rows = [jnp.ones(inputs), *first[:-1], last]
        columns = [*first, jnp.ones(outputs)]
        return {
            slot: {"kernel": row[:, None] * column[None], "bias": column}
            for slot, row, column in zip(slots, rows, columns, strict=True)
        }

    def random(key: Key[Array, ""], architecture: MLPArchitecture) -> Params:
        drawn = draw_normals(key, like, lambda name, leaf: 1.0 if name == "kernel" else None)
        found = {}
        for slot, mask in masks(architecture).items():
            fan_in = jnp.maximum(jnp.max(jnp.sum(mask["kernel"], 0)), 1)
            kernel = drawn[slot]["kernel"] * mask["kernel"] * jnp.sqrt(2 / fan_in)
            found[slot] = {**drawn[slot], "kernel": kernel}
        return found

    def apply(
        params: Params, architecture: MLPArchitecture, inputs: Float[Array, "n features"]
    ) -> Float[Array, "n outputs"]:
        def layer(x: Array, slot: str) -> Array:
            return x @ params[slot]["kernel"] + params[slot]["bias"][None]

        x = inputs.astype(params["head"]["bias"].dtype)
        for number, slot in enumerate(slots[:-1]):
            made = layer(x, slot)
            made = jnp.where(architecture.tanh, jnp.tanh(made), jax.nn.relu(made))
            x = made if not number else jnp.where(architecture.widths[number] > 0, made, x)
        return layer(x, "head")

    def alone(params: Params, shape: MLPShape) -> tuple[Network, Params]:
        _check(shape, layers, width)
        own = {}
        used = [*slots[: len(shape.widths)], "head"]
        sizes = itertools.pairwise([inputs, *shape.widths, outputs])
        for number, (slot, (rows, columns)) in enumerate(zip(used, sizes, strict=True)):
            kernel, bias = params[slot]["kernel"], params[slot]["bias"]
            own[f"Dense_{number}"] = {"kernel": kernel[:rows, :columns], "bias": bias[:columns]}
        return mlp(shape.widths, outputs, ACTIVATIONS[shape.activation]), own

    return PaddedMLP(like, architectures, masks, random, apply, alone)


def _check(shape: MLPShape, layers: int, width: int) -> None:
    """Raise where an architecture is none, or too large."""
    if not 1 <= len(shape.widths) <= layers:
        raise ConfigError("widths", shape.widths, f"1 to {layers} hidden layers")
    if not all(1 <= size <= width for size in shape.widths):
        raise ConfigError("widths", shape.widths, f"sizes of 1 to {width}")
    if shape.activation not in ACTIVATIONS:
        raise ConfigError("activation", shape.activation, " or ".join(ACTIVATIONS))


def _program(shape: MLPShape, inputs: int, outputs: int) -> ProgramGraph:
    """The graph of a network of its own size, on one example.

    It is that of :func:`metajax.nn.mlp`, whose module takes twice as long to trace.
    """
    sizes = [inputs, *shape.widths, outputs]
    params = {
        f"Dense_{n}": {"kernel": _shape(rows, columns), "bias": _shape(columns)}
        for n, (rows, columns) in enumerate(itertools.pairwise(sizes))
    }

    def apply(params: Params, x: Array) -> Array:
        for number in range(len(params)):
            layer = params[f"Dense_{number}"]
            x = x @ layer["kernel"] + layer["bias"][None]
            x = ACTIVATIONS[shape.activation](x) if number < len(shape.widths) else x
        return x

    return program_graph(apply, params, _shape(1, inputs))


def _padded(graph: Graph, nodes: int, edges: int) -> Graph:
    """As ``pad_graph``, on the host: it would compile a program for every size."""
    node_mask: Any = np.arange(nodes) < len(graph.nodes)
    edge_mask: Any = np.arange(edges) < len(graph.senders)
    return Graph(
        _lengthened(graph.nodes, nodes),
        _lengthened(graph.senders, edges),
        _lengthened(graph.receivers, edges),
        _lengthened(graph.edges, edges),
        node_mask,
        edge_mask,
    )


def _lengthened(x: Any, rows: int) -> Any:
    return np.pad(x, [(0, rows - len(x))] + [(0, 0)] * (x.ndim - 1))


def _shape(*sizes: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, jnp.float32)
