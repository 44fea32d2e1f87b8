"""Properties of the multi-layer perceptron."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import mlp


def test_equals_a_numpy_reference():
    net = mlp([7, 6], 3, activation=jnp.tanh)
    x = jax.random.normal(jax.random.key(1), (2, 5, 4))
    params = jax.jit(net.init)(jax.random.key(0), x)
    y = np.asarray(x, np.float64)
    for n in range(3):
        layer = params[f"Dense_{n}"]
        y = y @ np.asarray(layer["kernel"], np.float64) + np.asarray(layer["bias"], np.float64)
        y = np.tanh(y) if n < 2 else y
    np.testing.assert_allclose(jax.jit(net.apply)(params, x), y, atol=1e-5)


def test_params_are_a_plain_nested_dict_and_depend_on_the_key():
    net = mlp((8,), 2)
    x = jnp.ones(3)
    init = jax.jit(net.init)
    first, again, other = (init(jax.random.key(k), x) for k in (0, 0, 1))
    assert type(first) is dict and all(type(layer) is dict for layer in first.values())
    assert jax.tree.all(jax.tree.map(np.array_equal, first, again))
    assert not np.array_equal(first["Dense_0"]["kernel"], other["Dense_0"]["kernel"])


def test_vmap_equals_the_batched_call_and_the_gradient_flows():
    net = mlp((8,), 2)
    x = jax.random.normal(jax.random.key(1), (5, 3))
    params = jax.jit(net.init)(jax.random.key(0), x)
    mapped = jax.vmap(net.apply, (None, 0))(params, x)
    np.testing.assert_allclose(mapped, jax.jit(net.apply)(params, x), atol=1e-6)
    grads = jax.jit(jax.grad(lambda p: jnp.sum(net.apply(p, x) ** 2)))(params)
    assert all(np.any(np.asarray(g) != 0) for g in jax.tree.leaves(grads))


def test_no_hidden_layers_is_a_linear_map():
    net = mlp((), 2)
    params = jax.jit(net.init)(jax.random.key(0), jnp.ones(3))
    np.testing.assert_allclose(net.apply(params, jnp.ones(3)), params["Dense_0"]["kernel"].sum(0))


def test_computes_in_the_dtype_of_the_params():
    net = mlp((8,), 2)
    x = jnp.ones((4, 3))
    params = jax.tree.map(lambda p: p.astype(jnp.bfloat16), jax.jit(net.init)(jax.random.key(0), x))
    assert jax.jit(net.apply)(params, x).dtype == jnp.bfloat16


@pytest.mark.parametrize(("widths", "outputs", "field"), [((4, 0), 2, "widths"), ((4,), 0, "num")])
def test_a_size_below_one_is_refused(widths, outputs, field):
    with pytest.raises(ConfigError, match=field):
        mlp(widths, outputs)
