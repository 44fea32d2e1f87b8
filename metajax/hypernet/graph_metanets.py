"""Networks that read the graph of another network's weights and change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32, Key

from metajax.core import ConfigError, Network, Params, check_sizes, root
from metajax.hypernet.layers import EPSILON, empty_layer, normalize_rows
from metajax.nn import Graph, draw_normals
from metajax.units import Units, graph_weights, weight_graph, weight_kinds


class _Arrivals(NamedTuple):
    """The edges that each node receives, padded to the most that any has; known when tracing."""

    edges: Int32[np.ndarray, "nodes most"]
    present: np.ndarray


def graph_metanetwork(
    units: Units, *, width: int = 12, rounds: int = 3, ratio: float = 0.01
) -> Network:
    """Make a network that changes the weights of another one, read as a graph.

    ``init(key, params) -> metanet's params`` and ``apply(metanet's params, params, ratio=ratio) ->
    params``, of a network whose units have names. Other units of a name in another order give the
    same network in that order.

    MetaPruning (Yu et al. 2025, arXiv 2506.12041): units are nodes and weights are edges. The
    message to node ``i`` from node ``j`` is ``z_i x_j e_ij``, of the state ``x``, a linear map
    ``z`` of it and the edge's state ``e``. A node reads the mean, the deviation, the most and the
    least of its messages, along the edges and against them, where half of the channels of ``e``
    change their sign. Edges read ``x_i x_j e_ij``. All of this is added to the states. The result
    is the network plus ``ratio`` times the decoded change.

    Here weights are read, and their change is decoded, in units of their root mean square over the
    whole network. Nodes of one layer and weights of one array share a learned start of their
    states. States of nodes are divided by their root mean square over channels before messages.

    Args:
      units: the names of the network's units.
      width: channels of the states of nodes and edges, an even number.
      rounds: of messages.
      ratio: how much of the change is added; another one may be given to ``apply``, also traced.
        0 returns the network bit for bit.

    Returns:
      The metanetwork.

    Raises:
      ConfigError: a size is out of range, or the width is odd; or, when parameters are made, as by
        :func:`metajax.units.weight_graph`.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.hypernet import graph_metanetwork
      >>> from metajax.nn import mlp
      >>> from metajax.units import mlp_units
      >>> params = mlp([8], 2).init(jax.random.key(0), jnp.zeros((1, 3)))
      >>> metanet = graph_metanetwork(mlp_units(params), rounds=1)
      >>> changed = metanet.apply(metanet.init(jax.random.key(1), params), params)
      >>> changed["Dense_0"]["kernel"].shape
      (3, 8)
    """
    check_sizes(width=width, rounds=rounds)
    if width % 2:
        raise ConfigError("width", width, "an even number: half of the channels change their sign")
    flipped = np.where(np.arange(width) % 2, 1.0, -1.0).astype(np.float32)

    def init(key: Key[Array, ""], params: Params) -> Params:
        shape = jax.eval_shape(lambda params: _features(params, units), params)
        nodes, edges = shape
        node_kinds, edge_kinds = weight_kinds(params, units)
        made: Params = {
            "node": empty_layer(nodes.shape[1], width) | {"start": _starts(node_kinds, width)},
            "edge": empty_layer(edges.shape[1], width) | {"start": _starts(edge_kinds, width)},
        }
        for number in range(rounds):
            made[f"round_{number}"] = {
                "along": empty_layer(width, width),
                "against": empty_layer(width, width),
                "node": _two_layers(8 * width, width),
                "edge": _two_layers(2 * width, width),
            }
        made["node_change"] = empty_layer(width, nodes.shape[1])
        made["edge_change"] = empty_layer(width, edges.shape[1])
        return draw_normals(key, made, _deviation)

    def apply(metanet: Params, params: Params, ratio: Float[Array, ""] | float = ratio) -> Params:
        graph = weight_graph(params, units)
        assert graph.edges is not None
        dtype = graph.nodes.dtype
        kinds = weight_kinds(params, units)
        numbers = [jnp.sum(jnp.square(leaf)) for leaf in jax.tree.leaves(params)]
        size = sum(leaf.size for leaf in jax.tree.leaves(params))
        scale = root(jnp.sum(jnp.stack(numbers)) / size)
        read = 1 / jnp.where(scale > 0, scale, 1)
        x = _encoded(metanet["node"], graph.nodes * read, kinds[0])
        e = _encoded(metanet["edge"], graph.edges * read, kinds[1])
        ends = np.asarray(graph.senders), np.asarray(graph.receivers)
        tables = [_arrivals(at, len(graph.nodes)) for at in ends]
        for number in range(rounds):
            block = metanet[f"round_{number}"]
            state = normalize_rows(x)
            sender, receiver = state[ends[0]], state[ends[1]]
            back = e * jnp.asarray(flipped, dtype)[None]
            along = _dense(block["along"], state)[ends[1]] * sender * e
            against = _dense(block["against"], state)[ends[0]] * receiver * back
            news = [*_gathered(along, tables[1]), *_gathered(against, tables[0])]
            both = sender * receiver
            x = x + _mixed(block["node"], jnp.concatenate(news, axis=-1))
            e = e + _mixed(block["edge"], jnp.concatenate([both * e, both * back], axis=-1))
        step = ratio * scale
        changed = Graph(
            graph.nodes + step * _dense(metanet["node_change"], x),
            graph.senders,
            graph.receivers,
            graph.edges + step * _dense(metanet["edge_change"], e),
        )
        return graph_weights(changed, params, units)

    return Network(init, apply)


def _features(params: Params, units: Units) -> tuple[Array, Array]:
    graph = weight_graph(params, units)
    assert graph.edges is not None
    return graph.nodes, graph.edges


def _two_layers(inputs: int, width: int) -> Params:
    return {"first": empty_layer(inputs, width), "last": empty_layer(width, width)}


def _starts(kinds: Int32[np.ndarray, " n"], width: int) -> Float[Array, "kinds width"]:
    return jnp.zeros((int(kinds.max(initial=-1)) + 1, width))


def _deviation(name: str, leaf: Float[Array, "..."]) -> float | None:
    """Standard deviation of a parameter at the start: by the fan-in, 1 for the starts of states."""
    if name == "start":
        return 1.0
    return leaf.shape[0] ** -0.5 if name == "kernel" and leaf.shape[0] else None


def _dense(layer: Params, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
    return x @ layer["kernel"] + layer["bias"][None]


def _mixed(layers: Params, x: Float[Array, "n inputs"]) -> Float[Array, "n outputs"]:
    return _dense(layers["last"], jax.nn.silu(_dense(layers["first"], x)))


def _encoded(
    layer: Params, features: Float[Array, "n features"], kinds: Int32[np.ndarray, " n"]
) -> Float[Array, "n width"]:
    return _dense(layer, features) + layer["start"][kinds]


def _arrivals(ends: Int32[np.ndarray, " edges"], nodes: int) -> _Arrivals:
    """The edges of each node, in their order."""
    numbers = np.bincount(ends, minlength=nodes)
    order = np.argsort(ends, kind="stable").astype(np.int32)
    firsts = np.cumsum(numbers) - numbers
    places = firsts[:, None] + np.arange(max(int(numbers.max(initial=0)), 1))[None]
    present = np.arange(places.shape[1])[None] < numbers[:, None]
    return _Arrivals(order[np.where(present, places, 0)], present)


def _gathered(messages: Float[Array, "edges width"], at: _Arrivals) -> list[Array]:
    """Mean, deviation, most and least of the messages to each node; zeros where none are."""
    each = messages[at.edges]
    present = jnp.asarray(at.present[:, :, None])
    number = np.maximum(at.present.sum(1), 1).astype(np.float32)[:, None]
    some = jnp.any(present, axis=1)
    share = jnp.asarray(1 / number, messages.dtype)
    mean = jnp.sum(jnp.where(present, each, 0), axis=1) * share
    apart = jnp.where(present, each - mean[:, None], 0)
    deviation = jnp.sqrt(jnp.sum(jnp.square(apart), axis=1) * share + EPSILON)
    most = jnp.max(jnp.where(present, each, -jnp.inf), axis=1)
    least = jnp.min(jnp.where(present, each, jnp.inf), axis=1)
    return [jnp.where(some, one, 0) for one in (mean, deviation, most, least)]


def fed_loss(
    loss: Callable[[Params], Float[Array, ""]],
    slope: Callable[[Params], Params],
    params: Params,
) -> Float[Array, ""]:
    """Return a loss to whose gradient another one is added: the value is the loss alone.

    So a slope that is no loss' gradient, or whose factors are to count as constants, is descended
    through whatever made ``params``: as a vector-Jacobian product (arXiv 2506.12041).

    Args:
      loss: of parameters.
      slope: what is added to its gradient by parameters, of their shapes.
      params: where both are taken.
    """
    given = jax.lax.stop_gradient(slope(params))
    products = jax.tree.map(lambda leaf, one: jnp.sum(leaf * one), params, given)
    fed = jnp.sum(jnp.stack(jax.tree.leaves(products)))
    return loss(params) + (fed - jax.lax.stop_gradient(fed))
