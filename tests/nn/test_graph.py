"""Symmetries, padding and derivatives of the message-passing network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.nn import Graph, graph_net, mlp, pad_graph

SENDERS = np.array([0, 1, 2, 0, 3, 2], np.int32)
RECEIVERS = np.array([1, 0, 1, 2, 0, 3], np.int32)


def random_graph(seed=0, edges=True):
    draw = np.random.default_rng(seed).normal
    features = draw(size=(6, 3)).astype(np.float32) if edges else None
    return Graph(draw(size=(4, 5)).astype(np.float32), SENDERS, RECEIVERS, features)


def made(net, graph, seed=0):
    """Parameters, none of them zero."""
    params = jax.jit(net.init)(jax.random.key(seed), graph)

    def wave(leaf):
        return 0.1 * np.cos(np.arange(leaf.size)).reshape(leaf.shape)

    return jax.tree.map(lambda leaf: leaf + wave(leaf).astype(leaf.dtype), params)


def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))


def test_equals_a_numpy_reference():
    graph = random_graph()
    net = graph_net(8, 2)
    params = made(net, graph)
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)

    def layer(block, x):
        return mish(x @ block["kernel"] + block["bias"])

    state = layer(p["encoder"]["layer_0"], graph.nodes)
    for number in range(2):
        block, received = p[f"round_{number}"], np.zeros((4, 8))
        for sender, receiver, features in zip(SENDERS, RECEIVERS, graph.edges, strict=True):
            both = np.concatenate([state[sender], state[receiver], features])
            received[receiver] += layer(block["message"]["layer_0"], both)
        update = block["update"]["layer_0"]
        together = state @ update["kernel"] + received @ block["received"]["kernel"]
        state = mish(together + update["bias"])
    outputs = layer(p["readout"]["layer_0"], state) @ p["head"]["kernel"] + p["head"]["bias"]
    np.testing.assert_allclose(jax.jit(net.apply)(params, graph), outputs.sum(), rtol=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_lone_node_sees_an_mlp(layers):
    none = np.zeros(0, np.int32)
    graph = Graph(np.ones((1, 4), np.float32), none, none)
    net = graph_net(16, 2, layers=layers)
    params = made(net, graph)
    blocks = [params["encoder"], *(params[f"round_{n}"]["update"] for n in range(2))]
    chain = [layer for block in [*blocks, params["readout"]] for layer in block.values()]
    assert len(chain) == 4 * layers
    dense = {f"Dense_{n}": layer for n, layer in enumerate([*chain, params["head"]])}
    plain = mlp([16] * 4 * layers, 1, activation=jax.nn.mish)
    expected = jax.jit(plain.apply)(dense, graph.nodes[0])[0]
    np.testing.assert_allclose(jax.jit(net.apply)(params, graph), expected, rtol=1e-6)


@pytest.mark.parametrize("readout", ["sum", "nodes"])
def test_the_order_of_nodes_and_edges_does_not_count(readout):
    graph = random_graph()
    net = graph_net(8, 2, readout=readout, num_outputs=3)
    params = made(net, graph)
    nodes, edges = np.array([2, 0, 3, 1]), np.array([5, 1, 0, 3, 2, 4])
    place = np.argsort(nodes).astype(np.int32)
    moved = Graph(
        graph.nodes[nodes], place[SENDERS[edges]], place[RECEIVERS[edges]], graph.edges[edges]
    )
    apply = jax.jit(net.apply)
    before, after = apply(params, graph), apply(params, moved)
    assert before.shape == ((4, 3) if readout == "nodes" else (3,))
    np.testing.assert_allclose(after, before if readout == "sum" else before[nodes], atol=1e-5)


@pytest.mark.parametrize(("readout", "dims"), [("sum", 2), ("nodes", None)])
def test_padding_changes_neither_outputs_nor_gradients(readout, dims):
    graph = random_graph()
    net = graph_net(8, 2, readout=readout, position_dims=dims)
    params = made(net, graph)
    padded = pad_graph(graph, 7, 11)
    # what padded entries hold does not matter
    padded = padded._replace(
        nodes=padded.nodes.at[4:].set(3.0),
        edges=padded.edges.at[6:].set(-2.0),
        senders=padded.senders.at[7:].set(5),
    )

    @jax.jit
    def total(params, graph):
        outputs = net.apply(params, graph)
        return jnp.sum(outputs**2), outputs

    both = jax.jit(jax.value_and_grad(total, has_aux=True))
    (_, outputs), slopes = both(params, graph)
    (_, more), others = both(params, padded)
    if readout == "nodes":
        assert np.all(np.asarray(more[4:]) == 0)
        more = more[:4]
    np.testing.assert_allclose(more, outputs, atol=1e-6, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), slopes, others
    )


def test_padding_twice_keeps_the_masks_and_a_smaller_size_is_refused():
    padded = pad_graph(pad_graph(random_graph(), 5, 7), 6, 9)
    np.testing.assert_array_equal(padded.node_mask, [True] * 4 + [False] * 2)
    np.testing.assert_array_equal(padded.edge_mask, [True] * 6 + [False] * 3)
    for sizes, field in (((3, 9), "num_nodes"), ((4, 5), "num_edges")):
        with pytest.raises(ConfigError, match=f"^{field} = "):
            pad_graph(random_graph(), *sizes)


@pytest.mark.parametrize("dims", [None, 2])
def test_moving_all_nodes_counts_only_without_position_dims(dims):
    graph = random_graph(edges=False)
    net = graph_net(8, 1, position_dims=dims)
    params = made(net, graph)
    apply = jax.jit(net.apply)
    shift = np.array([0.7, -1.1, 0, 0, 0], np.float32)
    before, after = apply(params, graph), apply(params, graph._replace(nodes=graph.nodes + shift))
    if dims:
        np.testing.assert_allclose(after, before, rtol=1e-5)
        stretched = apply(params, graph._replace(nodes=graph.nodes * (1 + shift)))
        assert abs(stretched - before) > 1e-3
    else:
        assert abs(after - before) > 1e-3


def test_third_derivatives_are_finite_and_right_where_nodes_coincide():
    with enable_x64(True):
        graph = jax.tree.map(
            lambda x: x.astype(np.float64) if x.dtype == np.float32 else x, random_graph()
        )
        net = graph_net(6, 1, position_dims=2)
        params = jax.tree.map(lambda x: x.astype(jnp.float64), made(net, graph))
        together = jnp.tile(graph.nodes[:1], (4, 1))
        along = jnp.array(graph.nodes)

        def value(t):
            return net.apply(params, graph._replace(nodes=together + t * along))

        second = jax.grad(jax.grad(value))
        step = 1e-4
        third, ahead, behind = jax.jit(
            lambda: (jax.grad(second)(0.0), *jax.vmap(second)(jnp.array([step, -step])))
        )()
        expected = (ahead - behind) / (2 * step)
        assert abs(expected) > 1e-3
        np.testing.assert_allclose(third, expected, rtol=1e-5)


def test_mapped_over_tasks_with_parameters_of_their_own_equals_a_loop():
    net = graph_net(8, 2)
    graphs = [pad_graph(random_graph(seed), 5, 7 + seed) for seed in range(2)]
    graphs = [pad_graph(graph, 5, 8) for graph in graphs]
    params = [made(net, graphs[0], seed) for seed in range(2)]

    def stack(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    mapped = jax.jit(jax.vmap(net.apply))(stack(params), stack(graphs))
    apply = jax.jit(net.apply)
    for i in range(2):
        np.testing.assert_allclose(mapped[i], apply(params[i], graphs[i]), rtol=1e-5)


def test_params_are_a_plain_nested_dict_and_depend_on_the_key():
    net, graph = graph_net(32, 1), random_graph()
    init = jax.jit(net.init)
    first, again, other = (init(jax.random.key(k), graph) for k in (0, 0, 1))
    assert type(first) is dict and all(type(block) is dict for block in first.values())
    assert jax.tree.all(jax.tree.map(np.array_equal, first, again))
    kernels = [
        first["encoder"]["layer_0"]["kernel"],
        first["round_0"]["message"]["layer_0"]["kernel"],
    ]
    assert not np.array_equal(kernels[0], other["encoder"]["layer_0"]["kernel"])
    assert kernels[1].shape == (2 * 32 + 3, 32)
    for kernel in kernels:
        np.testing.assert_allclose(np.std(kernel) * kernel.shape[0] ** 0.5, 1, atol=0.15)


def test_computes_in_the_dtype_of_the_params():
    net, graph = graph_net(8, 1, position_dims=1), pad_graph(random_graph(), 5, 7)
    params = jax.tree.map(
        lambda p: p.astype(jnp.bfloat16), jax.jit(net.init)(jax.random.key(0), graph)
    )
    assert jax.eval_shape(net.apply, params, graph).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"width": 0}, "width"),
        ({"rounds": -1}, "rounds"),
        ({"layers": 0}, "layers"),
        ({"num_outputs": 0}, "num_outputs"),
        ({"readout": "mean"}, "readout"),
        ({"position_dims": 0}, "position_dims"),
        ({"position_dims": 5}, "position_dims"),
    ],
)
def test_sizes_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        graph_net(**options).init(jax.random.key(0), random_graph())
