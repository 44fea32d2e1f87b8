"""Decoders and graph hypernetworks: ranks, sizes, memory, scales, orders of nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, count
from metajax.hypernet import (
    MLPShape,
    decoded_entries,
    full_matrix,
    graph_hypernetwork,
    low_rank,
    padded_mlp,
    predicted_start,
    program_graph,
    random_shapes,
)
from metajax.nn import Graph, mlp
from programs import CASES

WIDTH, LARGEST = 4, 160
TARGET = padded_mlp(inputs=3, outputs=2, layers=3, width=6)
SHAPES = [MLPShape((4,), "relu"), MLPShape((6, 2), "tanh"), MLPShape((3, 3, 5), "relu")]
X = np.linspace(-1, 1, 15, dtype=np.float32).reshape(5, 3)


def made(network, *inputs, seed=0):
    """Parameters of which none are zero, without a program of their own."""
    draw = np.random.default_rng(seed).standard_normal
    shapes = jax.eval_shape(network.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda leaf: draw(leaf.shape).astype(np.float32) / 2, shapes)


@pytest.fixture(scope="module")
def architectures():
    return TARGET.architectures(SHAPES)


def one_of(architectures, index):
    return jax.tree.map(lambda leaf: leaf[index], architectures)


@pytest.mark.parametrize("largest", [10, 1000])
def test_decoders_have_as_many_parameters_as_their_formulas_say(largest):
    h, r = 8, 5
    features = jnp.zeros((2, h))

    def size(decoder):
        return count(jax.eval_shape(decoder.init, jax.random.key(0), features))

    linear = 36 * h**2 + 12 * h + (16 * h + 2) * r**2 + (r + 1) * largest
    assert size(low_rank(largest, r)) == linear
    assert size(full_matrix(largest)) == 36 * h**2 + 12 * h + (8 * h + 1) * largest**2


def test_a_decoded_matrix_has_the_rank_and_reads_only_its_own_columns():
    decoder, features = low_rank(9, rank=2), np.linspace(-1, 1, WIDTH, dtype=np.float32)
    params = made(decoder, features)

    @jax.jit
    def entries_and_slopes(params):
        def total(params):
            entries = decoded_entries(decoder.apply(params, features), 7, 5)
            return jnp.sum(jnp.square(entries)), entries

        return jax.grad(total, has_aux=True)(params)

    slopes, entries = entries_and_slopes(params)
    values = np.linalg.svd(entries, compute_uv=False)
    assert entries.shape == (7, 5) and values[1] > 1e-3 and (values[2:] < 1e-5 * values[0]).all()
    # rows use columns of the last layer up to 7, columns up to 5; the rest have no gradient
    reached = np.abs(slopes["out"]["kernel"]).max(0) > 0
    assert reached[:7].all() and not reached[7:].any()
    assert all(np.abs(slopes[f"hidden_{n}"]["kernel"]).max() > 0 for n in range(3))


def test_the_published_rectifier_puts_most_of_a_matrix_in_one_direction():
    """Before training, and without it not: the means that the docstring of the decoder has."""
    draw = np.random.default_rng(0)
    features = draw.standard_normal((20, 1, 32)).astype(np.float32)
    share = {}
    for rectify in (True, False):
        decoder = low_rank(96, 16, rectify=rectify)
        sizes = jax.eval_shape(decoder.init, jax.random.key(0), features[0])

        @jax.jit
        @jax.vmap
        def entries(params, features, decoder=decoder):
            return decoded_entries(decoder.apply(params, features), 64, 64)[0]

        def drawn(leaf):  # LeCun-normal kernels and biases of zero, as the decoder draws them
            shape, kernel = (len(features), *leaf.shape), len(leaf.shape) > 1
            scale = kernel / np.sqrt(leaf.shape[0])
            return (scale * draw.standard_normal(shape)).astype(np.float32)

        params = jax.tree.map(drawn, sizes)
        squares = np.linalg.svd(entries(params, features), compute_uv=False) ** 2
        share[rectify] = float(np.mean(squares[:, 0] / squares.sum(1)))
    assert share[True] == pytest.approx(0.86, abs=0.05)
    assert share[False] == pytest.approx(0.37, abs=0.05)


def test_the_memory_of_the_low_rank_decoder_is_linear_in_the_largest_width():
    """A narrow tensor, so that the tensor itself does not count."""

    def memory(decoder):
        def narrow(params, features):
            return decoded_entries(decoder.apply(params, features), 8, 8)

        shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros((3, WIDTH)))
        compiled = jax.jit(narrow).lower(shapes, jnp.zeros((3, WIDTH))).compile()
        of = compiled.memory_analysis()
        return of.temp_size_in_bytes + of.argument_size_in_bytes

    small, large = (memory(low_rank(largest, 4)) for largest in (1_000, 4_000))
    assert 2 < large / small < 4.2
    small, large = (memory(full_matrix(largest)) for largest in (100, 400))
    assert 12 < large / small < 16.5


@pytest.mark.parametrize("decoder", ["low_rank", "full"])
def test_one_program_gives_each_architecture_what_its_own_graph_gives(decoder, architectures):
    hypernetwork = graph_hypernetwork(6, decoder=decoder, rank=2, width=WIDTH, rounds=1)
    params = made(hypernetwork, one_of(architectures, 0).graph)

    @jax.jit
    def outputs(params, architectures):
        def one(architecture):
            masks = TARGET.masks(architecture)
            graph, nodes = architecture.graph, architecture.nodes
            weights = hypernetwork.start(params, graph, nodes, TARGET.like, masks)
            return TARGET.apply(weights, architecture, X)

        return jax.vmap(one)(architectures)

    found = outputs(params, architectures)
    assert outputs._cache_size() == 1
    tested = SHAPES[:2] if decoder == "low_rank" else SHAPES[:1]
    for shape, own in zip(tested, found, strict=False):
        network = mlp(shape.widths, 2, {"relu": jax.nn.relu, "tanh": jnp.tanh}[shape.activation])
        sizes = jax.eval_shape(network.init, jax.random.key(0), X)
        like = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), sizes)

        @jax.jit
        def own_way(params, like, network=network):
            weights = predicted_start(hypernetwork, params, network.apply, like, X[:1])
            return weights, network.apply(weights, X)

        weights, expected = own_way(params, like)
        np.testing.assert_allclose(own, expected, rtol=2e-4, atol=2e-5)
        for name, layer in weights.items():
            square = float(np.mean(np.square(layer["kernel"])))
            assert square == pytest.approx(2 / len(layer["kernel"]), rel=1e-4), name


def test_another_order_of_the_nodes_changes_nothing(architectures):
    hypernetwork = graph_hypernetwork(6, rank=2, width=WIDTH, rounds=2)
    architecture = one_of(architectures, 1)
    graph, params = architecture.graph, made(hypernetwork, architecture.graph)
    number = len(graph.nodes)
    order = np.random.default_rng(0).permutation(number)
    place = np.argsort(order).astype(np.int32)
    moved = Graph(
        graph.nodes[order],
        place[graph.senders],
        place[graph.receivers],
        graph.edges,
        graph.node_mask[order],
        graph.edge_mask,
    )
    start = jax.jit(hypernetwork.start)
    expected = start(params, graph, architecture.nodes, TARGET.like)
    found = start(params, moved, place[architecture.nodes], TARGET.like)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected
    )
    other = start(params, moved, architecture.nodes, TARGET.like)
    assert np.abs(other["head"]["kernel"] - expected["head"]["kernel"]).max() > 0.01


def test_stacked_layers_get_one_start():
    def apply(params, x):
        return jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x, params["layers"])[0]

    like = {"layers": np.zeros((4, 3, 3), np.float32)}
    hypernetwork = graph_hypernetwork(3, rank=2, width=WIDTH, rounds=1)
    params = made(hypernetwork, program_graph(apply, like, X).graph)
    start = jax.jit(lambda params, like: predicted_start(hypernetwork, params, apply, like, X))
    layers = start(params, like)["layers"]
    np.testing.assert_array_equal(layers, np.broadcast_to(layers[:1], layers.shape))
    assert float(np.mean(np.square(layers))) == pytest.approx(2 / 3, rel=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_any_network_gets_weights_of_its_own_tree_and_shapes(name):
    apply, like, inputs = CASES[name][0]()
    hypernetwork = graph_hypernetwork(LARGEST, rank=2, width=WIDTH, rounds=1)
    graph = program_graph(apply, like, *inputs).graph
    params = jax.eval_shape(hypernetwork.init, jax.random.key(0), graph)

    def start(params, like):
        return predicted_start(hypernetwork, params, apply, like, *inputs)

    found = jax.eval_shape(start, params, like)
    assert jax.tree.structure(found) == jax.tree.structure(like)
    for own, of in zip(jax.tree.leaves(found), jax.tree.leaves(like), strict=True):
        assert (own.shape, own.dtype) == (of.shape, of.dtype)


@pytest.mark.parametrize("name", ["linen", "equinox, scan"])
def test_tensors_of_other_networks_have_the_scale_of_their_inputs(name):
    """Kernels of a convolution have as many inputs as their taps times their channels."""
    apply, sizes, inputs = CASES[name][0]()
    like = jax.tree.map(lambda leaf: np.full(leaf.shape, 3, leaf.dtype), sizes)
    hypernetwork = graph_hypernetwork(LARGEST, rank=2, width=WIDTH, rounds=1)
    params = made(hypernetwork, program_graph(apply, sizes, *inputs).graph)
    start = jax.jit(
        lambda params, like: predicted_start(hypernetwork, params, apply, like, *inputs)
    )
    stacked = CASES[name][2]
    lengths = program_graph(apply, sizes, *inputs).lengths
    for leaf, length in zip(jax.tree.leaves(start(params, like)), lengths, strict=False):
        shape = leaf.shape[1:] if length else leaf.shape
        assert length in (0, stacked)
        if len(shape) > 1:
            scale = float(np.mean(np.square(leaf))) * np.prod(shape[:-1])
            assert scale == pytest.approx(2, rel=1e-3)
        else:  # a vector moves from where it starts
            assert 0 < float(np.abs(leaf - 3).max()) < 3


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_counters_stay_as_they_are_and_dtypes_are_kept(dtype):
    like = {"count": np.array(7, np.int32), "kernel": np.zeros((3, 2), dtype)}
    hypernetwork = graph_hypernetwork(3, rank=2, width=WIDTH, rounds=1)

    def apply(params, x):
        return x.astype(dtype) @ params["kernel"] * params["count"].astype(dtype)

    params = made(hypernetwork, program_graph(apply, like, X).graph)
    found = predicted_start(hypernetwork, params, apply, like, X)
    assert found["count"] == 7 and found["count"].dtype == jnp.int32
    assert found["kernel"].dtype == dtype
    square = np.mean(np.square(np.asarray(found["kernel"], np.float32)))
    assert float(square) == pytest.approx(2 / 3, rel=1e-2)


def test_a_leaf_that_is_too_large_is_named():
    network = mlp([8], 2)
    like = jax.eval_shape(network.init, jax.random.key(0), np.ones((1, 9)))
    with pytest.raises(ConfigError, match=r"9 or more: Dense_0/kernel .* 9 x 8") as raised:
        predicted_start(graph_hypernetwork(8), {}, network.apply, like, np.ones((1, 9)))
    assert raised.value.field == "largest"


def test_random_starts_are_those_of_the_inputs_that_a_unit_has(architectures):
    target = padded_mlp(inputs=3, outputs=2, layers=2, width=300)
    architecture = one_of(target.architectures([MLPShape((200, 100), "relu")]), 0)
    weights = jax.jit(target.random)(jax.random.key(0), architecture)
    second = np.asarray(weights["layer_1"]["kernel"])
    assert second[:200, :100].var() == pytest.approx(2 / 200, rel=0.05)
    assert not second[200:].any() and not second[:, 100:].any()


def test_a_network_at_its_own_size_computes_what_it_does_padded(architectures):
    keys = jax.random.split(jax.random.key(0), len(SHAPES))
    weights = jax.vmap(TARGET.random)(keys, architectures)
    for index, shape in enumerate(SHAPES):
        padded = one_of(weights, index)
        network, params = TARGET.alone(padded, shape)
        like = jax.eval_shape(network.init, keys[0], X)
        assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, like)
        expected = TARGET.apply(padded, one_of(architectures, index), X)
        np.testing.assert_allclose(network.apply(params, X), expected, rtol=1e-5, atol=1e-6)


def test_random_shapes_stay_in_their_ranges():
    shapes = random_shapes(100, (1, 3), (4, 8), seed=0)
    assert {len(shape.widths) for shape in shapes} == {1, 2, 3}
    assert {size for shape in shapes for size in shape.widths} == {4, 5, 6, 7, 8}
    assert {shape.activation for shape in shapes} == {"relu", "tanh"}
    assert shapes == random_shapes(100, (1, 3), (4, 8), seed=0)


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("decoder", lambda: graph_hypernetwork(4, decoder="some")),
        ("rank", lambda: low_rank(4, 0)),
        ("largest", lambda: full_matrix(0)),
        ("layers", lambda: random_shapes(2, (0, 1), (4, 4), 0)),
        ("widths", lambda: TARGET.architectures([MLPShape((7,), "relu")])),
        ("widths", lambda: TARGET.architectures([MLPShape((1,) * 4, "relu")])),
        ("widths", lambda: TARGET.alone(TARGET.like, MLPShape((7,), "relu"))),
        ("activation", lambda: TARGET.architectures([MLPShape((2,), "sigmoid")])),
        (
            "largest",
            lambda: predicted_start(
                graph_hypernetwork(4),
                {},
                mlp([], 2).apply,
                mlp([], 2).init(jax.random.key(0), np.ones((1, 5))),
                np.ones((1, 5)),
            ),
        ),
    ],
)
def test_what_does_not_fit_is_rejected(field, call):
    with pytest.raises(ConfigError, match=field):
        call()
