"""The graph of a program: a node for each leaf of the parameters of any network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import program_graph
from metajax.nn import mlp
from programs import CASES, X, of


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
