"""Graph hypernetworks: the start of a network, predicted from the graph of its program."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from metajax.core import ConfigError, Params, check_sizes, derive, one_of, path_name
from metajax.hypernet.decoders import decoded_entries, full_matrix, low_rank
from metajax.hypernet.program_graphs import program_graph
from metajax.nn import Graph, graph_net

VECTOR_SCALE = 0.1
"""What is predicted for a bias or a scale, before it is added to the network's own start."""
GAIN = 2.0
"""Mean square of predicted weights times the number of inputs of a unit (He et al. 2015)."""
EPSILON = 1e-8
"""Added to a mean square before its root is divided by."""


class GraphHypernetwork(NamedTuple):
    """Predicts the parameters of networks from their graphs, as pure functions.

    Attributes:
      init: ``init(key, graph) -> params``.
      start: ``start(params, graph, nodes, like, masks=None, lengths=None) -> target's params``, of
        the shapes of ``like``, whose leaf number ``i`` is node ``nodes[i]`` of the graph. Where
        ``masks`` has zeros, entries are zero and count for nothing, so that one program serves
        networks of many sizes. ``lengths[i]`` is the number of layers stacked on the leaf's first
        axis, 0 where none are; all get the same weights.
    """

    init: Callable[[Key[Array, ""], Graph], Params]
    start: Callable[..., Params]


def graph_hypernetwork(
    largest: int,
    *,
    decoder: Literal["low_rank", "full"] = "low_rank",
    rank: int = 16,
    rectify: bool = False,
    width: int = 32,
    rounds: int = 3,
) -> GraphHypernetwork:
    """Make a graph hypernetwork (GHN: Zhang et al. 2019, 1810.05749; LoGAH: 2405.16287).

    A message-passing network reads the graph of a program (:func:`program_graph`), and a decoder
    makes a matrix of the state of each parameter's node. A tensor of two axes or more is the first
    rows and columns of its matrix: the last axis is that of the columns. It is scaled so that the
    mean square of its entries is ``GAIN`` over the inputs of a unit, the parameter normalization of
    GHN-2 (Knyazev et al. 2021, 2110.13100, section 3) with the tensor's own mean square. A vector
    (a bias, a scale) is what the target's own start gives it plus ``VECTOR_SCALE`` times the first
    row. Leaves that are no floating-point numbers, such as counters, stay as they are. Another
    order of the nodes changes nothing.

    Args:
      largest: the most rows or columns that a tensor can have.
      decoder: ``low_rank``, whose parameters are linear in ``largest``, or ``full``.
      rank: of the low-rank decoder.
      rectify: whether its third layer has a ReLU, as published; see :func:`low_rank`.
      width: features of a node's state.
      rounds: of messages.

    Returns:
      The hypernetwork. :func:`predicted_start` uses it for any network.

    Raises:
      ConfigError: a size is out of range; or, by ``start``, a tensor has more rows or columns than
        ``largest``, or ``nodes`` does not have a node for each leaf.
    """
    one_of("decoder", decoder, ("low_rank", "full"))
    check_sizes(largest=largest, rank=rank, width=width)
    reader = graph_net(width, rounds, num_outputs=width, readout="nodes")
    decode = (
        low_rank(largest, rank, rectify=rectify) if decoder == "low_rank" else full_matrix(largest)
    )

    def init(key: Key[Array, ""], graph: Graph) -> Params:
        return {
            "reader": reader.init(derive(key, "reader"), graph),
            "decoder": decode.init(derive(key, "decoder"), jnp.zeros((1, width))),
        }

    def start(
        params: Params,
        graph: Graph,
        nodes: Int[Array | np.ndarray, " leaves"],
        like: Params,
        masks: Params | None = None,
        lengths: Sequence[int] | None = None,
    ) -> Params:
        paths, structure = jax.tree_util.tree_flatten_with_path(like)
        leaves = [leaf for _, leaf in paths]
        if nodes.shape != (len(leaves),):
            raise ConfigError("nodes", nodes.shape, f"({len(leaves)},), one for each leaf")
        shapes = [leaf.shape[1:] if steps else leaf.shape for leaf, steps in _with(lengths, leaves)]
        for (path, leaf), shape in zip(paths, shapes, strict=True):
            rows, columns = _matrix(shape)
            if _is_predicted(leaf) and max(rows, columns) > largest:
                name = path_name(path) or "params"
                expected = f"{max(rows, columns)} or more: {name} is a matrix of {rows} x {columns}"
                raise ConfigError("largest", largest, expected)
        state = reader.apply(params["reader"], graph)[nodes]
        decoded = decode.apply(params["decoder"], state)
        masked = [None] * len(leaves) if masks is None else jax.tree.leaves(masks)
        made = []
        for number, (leaf, shape, mask) in enumerate(zip(leaves, shapes, masked, strict=True)):
            if not _is_predicted(leaf):
                made.append(leaf)
                continue
            one = jax.tree.map(lambda part, number=number: part[number], decoded)
            entries = decoded_entries(one, *_matrix(shape))
            if len(shape) < 2:
                moved = (VECTOR_SCALE * entries.reshape(shape)).astype(leaf.dtype)
                moved = leaf + jnp.broadcast_to(moved, leaf.shape)
                made.append(moved if mask is None else moved * mask.astype(leaf.dtype))
            else:
                flat = None if mask is None else mask.reshape(entries.shape).astype(entries.dtype)
                # scaled before the cast: a mean square has few digits in half precision
                tensor = _scaled(entries, flat).reshape(shape).astype(leaf.dtype)
                made.append(jnp.broadcast_to(tensor, leaf.shape))
        return jax.tree.unflatten(structure, made)

    return GraphHypernetwork(init, start)


def predicted_start(
    hypernetwork: GraphHypernetwork,
    params: Params,
    apply: Callable[..., Any],
    like: PyTree,
    *inputs: Any,
) -> PyTree:
    """Predict parameters for any network that JAX can trace, by the graph of its program.

    The network is a function: a module of Flax or Equinox by its adapter, or plain JAX. It can be
    of a kind that the hypernetwork was not trained on, but then its start may be of no use. Weights
    have the mean square of a random start (He et al. 2015) in any case.

    Args:
      hypernetwork: of :func:`graph_hypernetwork`.
      params: of the hypernetwork.
      apply: ``apply(like, *inputs)``, the network.
      like: a start of the network: it gives the shapes, and where biases and scales start.
      *inputs: inputs of the network, or their shapes; a batch of the size that the hypernetwork was
        trained with.

    Returns:
      Parameters in the place of ``like``: the same tree, shapes and dtypes.

    Raises:
      ConfigError: ``like`` has no leaves, or one that is larger than the hypernetwork's largest;
        it names the leaf.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import graph_hypernetwork, predicted_start, program_graph
      >>> from metajax.nn import mlp
      >>> network, x = mlp([8], 2), jnp.zeros((1, 3))
      >>> like = network.init(jax.random.key(0), x)
      >>> hypernetwork = graph_hypernetwork(largest=16, rank=2, width=8)
      >>> graph = program_graph(network.apply, like, x).graph
      >>> params = hypernetwork.init(jax.random.key(1), graph)
      >>> start = predicted_start(hypernetwork, params, network.apply, like, x)
      >>> start["Dense_0"]["kernel"].shape
      (3, 8)
    """
    program = program_graph(apply, like, *inputs)
    nodes = np.array(list(program.parameters.values()), np.int32)
    lengths = [program.lengths[node] for node in nodes]
    return hypernetwork.start(params, program.graph, nodes, like, lengths=lengths)


def _with(lengths: Sequence[int] | None, leaves: list[Array]) -> list[tuple[Array, int]]:
    """Each leaf with the number of layers stacked in it."""
    return list(zip(leaves, [0] * len(leaves) if lengths is None else lengths, strict=True))


def _is_predicted(leaf: Array) -> bool:
    """Whether a leaf has numbers to predict: a counter or a random key has none."""
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _matrix(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a tensor as a matrix."""
    return math.prod(shape[:-1]), shape[-1] if shape else 1


def _scaled(
    entries: Float[Array, "rows columns"], mask: Float[Array, "rows columns"] | None
) -> Float[Array, "rows columns"]:
    """Entries of a mean square of ``GAIN`` over the rows; those that are masked are no entries."""
    if mask is None:
        mask = jnp.ones_like(entries)
    entries *= mask
    inputs = jnp.max(jnp.sum(mask, axis=0))
    # a tensor without entries, of a layer that is not there, stays zero
    square = jnp.sum(jnp.square(entries)) / jnp.maximum(jnp.sum(mask), 1)
    return entries * jnp.sqrt(GAIN / (jnp.maximum(inputs, 1) * (square + EPSILON)))
