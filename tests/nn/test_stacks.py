"""A stack of layers: what its layers compute, and the layers that change nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, count
from metajax.nn import layer_stack

INPUTS = jax.random.normal(jax.random.key(0), (6, 5))


def drawn(residual):
    return layer_stack(3, 4, 2, residual).init(jax.random.key(1), INPUTS)


def by_hand(params, residual):
    """The same in NumPy and float64."""

    def dense(layer, rows):
        return rows @ np.asarray(layer["kernel"], float) + np.asarray(layer["bias"], float)

    def normalized(rows):
        return (rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)

    rows = dense(params["stem"], np.asarray(INPUTS, float))
    rows = rows if residual else np.maximum(rows, 0)
    for index in range(3):
        layer = jax.tree.map(lambda leaf, i=index: leaf[i], params["layers"])
        if residual:
            rows = rows + np.maximum(dense(layer, normalized(rows)), 0)
        else:
            rows = np.maximum(dense(layer, rows), 0)
    return dense(params["head"], normalized(rows) if residual else rows)


@pytest.mark.parametrize("residual", [True, False])
def test_a_stack_computes_its_layers_one_after_the_other(residual):
    params = drawn(residual)
    assert count(params) == 6 * 4 + 3 * 5 * 4 + 5 * 2
    found = layer_stack(3, 4, 2, residual).apply(params, INPUTS)
    np.testing.assert_allclose(found, by_hand(params, residual), rtol=1e-4, atol=1e-5)


def test_sizes_are_checked():
    with pytest.raises(ConfigError) as raised:
        layer_stack(0, 4, 2)
    assert raised.value.field == "depth"


def test_kernels_of_layers_have_twice_the_variance():
    network = layer_stack(50, 20, 2)
    params = network.init(jax.random.key(2), jnp.zeros((1, 500)))
    for name, expected in (("layers", 2 / 20), ("stem", 1 / 500)):
        assert np.var(params[name]["kernel"]) == pytest.approx(expected, rel=0.05)
