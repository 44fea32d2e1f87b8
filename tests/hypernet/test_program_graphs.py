"""The graph of a program: a node for each leaf of the parameters of any network."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from metajax.core import ConfigError
from metajax.hypernet import program_graph
from metajax.nn import (
    Graph,
    causal_transformer,
    conv_net,
    from_equinox,
    from_linen,
    from_nnx,
    graph_net,
    mlp,
)

X = jax.ShapeDtypeStruct((4, 6), jnp.float32)
IMAGES = jax.ShapeDtypeStruct((4, 8, 8, 1), jnp.float32)


@jax.custom_jvp
def bent(x):
    return jnp.sin(x)


bent.defjvp(lambda at, along: (bent(*at), jnp.cos(at[0]) * along[0]))


@jax.custom_vjp
def squashed(x):
    return jnp.tanh(x)


squashed.defvjp(lambda x: (squashed(x), x), lambda x, slope: (slope,))


class Block(nn.Module):
    """A residual layer."""

    @nn.compact
    def __call__(self, x, _):
        return x + bent(nn.Dense(6)(nn.LayerNorm()(x))), None


class Scanned(nn.Module):
    """Three blocks stacked by scan, their activations computed again, and a head."""

    @nn.compact
    def __call__(self, x):
        blocks = nn.scan(
            nn.remat(Block), variable_axes={"params": 0}, split_rngs={"params": True}, length=3
        )
        x, _ = blocks()(x, None)
        return nn.Dense(2)(x)


class LinenConv(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = nn.max_pool(nn.relu(nn.Conv(3, (3, 3))(x)), (2, 2))
        return nn.remat(nn.Dense)(2)(x.reshape(len(x), -1))


class NNXNet(nnx.Module):
    def __init__(self, *, rngs):
        self.first = nnx.Linear(6, 8, rngs=rngs)
        self.norm = nnx.LayerNorm(8, rngs=rngs)
        self.second = nnx.Linear(8, 3, rngs=rngs)

    def __call__(self, x):
        return self.second(squashed(self.norm(self.first(x))))


class NNXRemat(NNXNet):
    def __call__(self, x):
        return self.second(nnx.remat(lambda first, x: nnx.gelu(first(x)))(self.first, x))


def equinox_mlp():
    eqx = pytest.importorskip("equinox")
    return from_equinox(lambda key: eqx.nn.MLP(6, 2, 8, 2, key=key)), jax.vmap


def equinox_scan():
    """Layers made by ``filter_vmap`` and passed through by ``scan``, as Equinox advises."""
    eqx = pytest.importorskip("equinox")

    class Deep(eqx.Module):
        layers: Any
        head: Any

        def __init__(self, key):
            make = eqx.filter_vmap(lambda key: eqx.nn.Linear(6, 6, key=key))
            self.layers = make(jax.random.split(key, 5))
            self.head = eqx.nn.Linear(6, 2, key=key)

        def __call__(self, x):
            arrays, static = eqx.partition(self.layers, eqx.is_array)

            @jax.checkpoint
            def step(x, layer):
                return jax.nn.relu(eqx.combine(layer, static)(x)), None

            return self.head(jax.lax.scan(step, x, arrays)[0])

    return from_equinox(Deep), jax.vmap


def looped(params, x):
    def step(state):
        number, x = state
        return number + 1, squashed(x @ params["loop"])

    _, x = jax.lax.while_loop(lambda state: state[0] < 3, step, (0, x))
    branches = (lambda x: x @ params["left"], lambda x: jnp.exp(x @ params["right"]))
    return jax.lax.cond(jnp.sum(x) > 0, *branches, x)


def of(network, *inputs, mapped=None):
    params = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    apply = network.apply
    if mapped is not None:
        apply = mapped(apply, (None, 0))
    return apply, params, inputs


def graph_case():
    edge = np.zeros(2, np.int32)
    graph = Graph(np.zeros((3, 4), np.float32), edge, edge)
    network = graph_net(8, 1)

    def apply(params, nodes):
        return network.apply(params, graph._replace(nodes=nodes))

    params = jax.eval_shape(network.init, jax.random.key(0), graph)
    return apply, params, (graph.nodes,)


def transformer_case():
    sizes = {"num_outputs": 3, "width": 8, "layers": 2, "heads": 2, "key_size": 4}
    network = causal_transformer(**sizes, max_length=5)
    return of(network, jax.ShapeDtypeStruct((2, 5, 3), jnp.float32))


def equinox_case(make):
    network, mapped = make()
    return of(network, X, mapped=mapped)


def plain_case():
    square = jax.ShapeDtypeStruct((6, 6), jnp.float32)
    return looped, dict.fromkeys(("left", "loop", "right", "unused"), square), (X,)


# some kinds and their numbers, and the length of leaves that are stacked
CASES = {
    "mlp": (lambda: of(mlp([8, 8], 2), X), {"matmul": 3, "add": 3, "rectifier": 2}, 0),
    "conv_net": (lambda: of(conv_net(3, channels=4, layers=2), IMAGES), {"matmul": 3}, 0),
    "transformer": (transformer_case, {"exponential": 2, "saturating": 2, "matmul": 14}, 0),
    "graph_net": (graph_case, {"lookup": 3}, 0),
    "linen": (lambda: of(from_linen(LinenConv()), IMAGES), {"convolution": 1, "matmul": 1}, 0),
    "linen, scan": (
        lambda: of(from_linen(Scanned()), X),
        {"carry": 1, "wave": 1, "matmul": 2},
        3,
    ),
    "nnx": (lambda: of(from_nnx(NNXNet), X), {"matmul": 2, "saturating": 1}, 0),
    "nnx, remat": (lambda: of(from_nnx(NNXRemat), X), {"matmul": 2, "saturating": 1}, 0),
    "equinox": (lambda: equinox_case(equinox_mlp), {"matmul": 3, "rectifier": 2}, 0),
    "equinox, scan": (
        lambda: equinox_case(equinox_scan),
        {"matmul": 2, "rectifier": 1, "carry": 1},
        5,
    ),
    "loops": (plain_case, {"matmul": 3, "carry": 1, "saturating": 1, "exponential": 1}, 0),
    "linear": (lambda: of(mlp([], 2), X), {"matmul": 1, "add": 1}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_the_nodes_of_parameters_are_their_leaves(name):
    make, kinds, length = CASES[name]
    apply, params, inputs = make()
    program = program_graph(apply, params, *inputs)
    leaves = jax.tree.leaves(params)
    assert list(program.parameters.values()) == list(range(len(leaves)))
    assert program.kinds.count("parameter") == len(leaves)
    assert program.kinds.count("input") == len(inputs)
    for kind, number in kinds.items():
        assert program.kinds.count(kind) == number, kind
    for path, node in program.parameters.items():
        stacked = length and path.startswith(("ScanCheckpointBlock_0", "layers/"))
        assert program.lengths[node] == (length if stacked else 0), path

    # each is read by an equation, which is on a path to the output
    senders, receivers = program.graph.senders, program.graph.receivers
    forward = program.graph.edges[:, 0] == 1
    read = set(senders[forward].tolist())
    unused = [path for path, node in program.parameters.items() if node not in read]
    assert unused == (["unused"] if name == "loops" else unused_of(name))
    np.testing.assert_array_equal(senders[forward], receivers[~forward])
    assert np.isfinite(program.graph.nodes).all()


def unused_of(name):
    """Leaves that a network has and does not read."""
    return {"nnx, remat": ["norm/bias", "norm/scale"]}.get(name, [])


def test_a_chain_has_its_edges_and_features():
    apply, params, inputs = of(mlp([8], 2), X)
    program = program_graph(apply, params, *inputs)
    graph = program.graph
    forward = graph.edges[:, 0] == 1
    edges = zip(graph.senders[forward].tolist(), graph.receivers[forward].tolist(), strict=True)
    # bias, kernel, bias, kernel, input, matmul, add, relu, matmul, add, output
    chain = {(4, 5), (5, 6), (6, 7), (7, 8), (8, 9), (9, 10)}
    assert set(edges) == {(1, 5), (0, 6), (3, 8), (2, 9)} | chain
    rows = graph.nodes[:, -7:]  # the last two axes, rank, length, from the input, to the output
    places = {1: (6, 8, 1, 6), 3: (8, 2, 4, 3)}
    for node, (first, last, start, end) in places.items():
        logs = np.log1p([first, last, start, end])
        np.testing.assert_allclose(rows[node, [0, 1, 4, 5]], logs, rtol=1e-6)
        assert rows[node, 2] == 2
        np.testing.assert_allclose(rows[node, 6], start / (start + end), rtol=1e-6)


def test_what_depends_on_nothing_is_left_out():
    def apply(params, x):
        return x + jnp.sin(jnp.arange(6.0))[None] + jnp.cos(params).sum()

    def dead(params, x):
        jnp.exp(params)
        return x * 2

    program = program_graph(apply, jnp.ones(3), jnp.ones((2, 6)))
    assert "wave" in program.kinds and program.kinds.count("wave") == 1
    assert "exponential" not in program_graph(dead, jnp.ones(3), jnp.ones((2, 6))).kinds


def test_no_parameters_are_rejected():
    with pytest.raises(ConfigError, match="params"):
        program_graph(lambda params, x: x, {}, X)
