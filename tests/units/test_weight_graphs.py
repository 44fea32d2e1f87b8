"""Networks as graphs: nothing is lost, and the order of units is that of nodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import make_cases

from metajax.core import ConfigError
from metajax.units import graph_weights, permute_units, unit_sizes, weight_graph, weight_kinds

CASES = make_cases()


@pytest.mark.parametrize("name", ["mlp", "conv", "transformer"])
def test_weights_to_graph_to_weights_is_the_identity(name):
    case = CASES[name]
    params, units = case.params, case.units

    @jax.jit
    def back(params):
        graph = weight_graph(params, units)
        return graph, graph_weights(graph, params, units)

    graph, found = back(params)
    jax.tree.map(np.testing.assert_array_equal, found, params)
    if name == "mlp":
        assert graph.nodes.shape == (4 + 6 + 5 + 3, 1)  # inputs, units, outputs
        assert graph.edges.shape == (4 * 6 + 6 * 5 + 5 * 3, 1)
        kernel = params["Dense_1"]["kernel"]
        edge = 4 * 6 + 5 * 2 + 3  # from the unit 2 to the unit 3
        assert graph.edges[edge, 0] == kernel[2, 3]
        assert graph.nodes[graph.receivers[edge], 0] == params["Dense_1"]["bias"][3]
        assert graph.nodes[graph.senders[edge], 0] == params["Dense_0"]["bias"][2]
        nodes, edges = weight_kinds(params, units)
        np.testing.assert_array_equal(np.bincount(nodes), [6, 4, 5, 3])  # as biases come first
        np.testing.assert_array_equal(np.bincount(edges), [4 * 6, 6 * 5, 5 * 3])
        assert nodes[graph.senders[edge]] == 0 and nodes[graph.receivers[edge]] == 2
    if name == "conv":
        assert graph.edges.shape[1] >= 9  # the taps


def test_a_permuted_network_is_the_graph_with_permuted_nodes():
    """What sums over the edges of each node, and then over nodes, does not change."""
    case, draw = CASES["conv"], np.random.default_rng(4)
    sizes = unit_sizes(case.params, case.units)
    orders = {unit: draw.permutation(size) for unit, size in sizes.items()}

    @jax.jit
    def both(params):
        def of(params):
            graph = weight_graph(params, case.units)
            ends = jnp.concatenate([graph.nodes[graph.senders], graph.edges], axis=1)
            sums = jax.ops.segment_sum(jnp.tanh(ends), graph.receivers, len(graph.nodes))
            features = jnp.concatenate([graph.nodes, sums], axis=1)
            return jnp.sum(jnp.square(features), axis=0), graph.edges

        return of(params), of(permute_units(params, case.units, orders))

    (usual, edges), (permuted, moved) = both(case.params)
    assert np.abs(edges - moved).max() > 0.1
    np.testing.assert_allclose(permuted, usual, rtol=1e-5)


def test_what_is_no_such_graph_is_rejected():
    case, joined = CASES["mlp"], CASES["graph"]
    graph = weight_graph(case.params, case.units)
    with pytest.raises(ConfigError, match="nodes and edges of shapes"):
        graph_weights(graph._replace(nodes=graph.nodes[1:]), case.params, case.units)
    with pytest.raises(ConfigError, match="axes of one part each"):
        weight_graph(joined.params, joined.units)
