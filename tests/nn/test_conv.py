"""Convolution blocks against XLA's own operations, and against a loop over tasks."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

from metajax.core import ConfigError, enable_x64
from metajax.nn import batch_normalise, conv2d, conv_net, image_normalise, max_pool

KEY = jax.random.key(0)


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize(
    ("kernel_size", "stride"), [((3, 3), 1), ((5, 1), 1), ((2, 4), 1), ((3, 3), 2), ((1, 2), 3)]
)
def test_patches_are_the_convolution(kernel_size, stride, depth):
    """Values and both derivatives, to 1e-5; whole patches at depth 1, columns at depth 4."""
    draw = np.random.default_rng(0)

    def array(*shape):
        return jnp.asarray(draw.normal(size=shape), jnp.float32)

    x, kernel = array(3, 7, 6, depth), array(*kernel_size, depth, 5)
    weights = array(3, 7, 6, 5)[:, ::stride, ::stride]

    def by(method):
        def run(x, k):
            return conv2d(x, k, method, stride=stride)

        def value(x, k):
            return jnp.sum(weights * jnp.sin(run(x, k)))

        return jax.jit(lambda x, k: (run(x, k), jax.grad(value, (0, 1))(x, k)))(x, kernel)

    chex.assert_trees_all_close(by("patches"), by("native"), rtol=1e-5, atol=1e-5)


def test_pooling_is_flax_pooling():
    x = jax.random.normal(KEY, (2, 7, 6, 3))
    np.testing.assert_array_equal(max_pool(x), linen.max_pool(x, (2, 2), strides=(2, 2)))


def test_a_batch_is_normalised_by_itself():
    x = 3 + 2 * jax.random.normal(KEY, (50, 4, 4, 3))
    y = batch_normalise(x, jnp.array([1.0, 2.0, 3.0]), jnp.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(y.mean((0, 1, 2)), [0, 1, 2], atol=1e-5)
    np.testing.assert_allclose(y.std((0, 1, 2)), [1, 2, 3], rtol=1e-4)


def test_an_image_is_normalised_by_itself():
    x = 3 + 2 * jax.random.normal(KEY, (6, 12, 12, 3))
    y = image_normalise(x, jnp.array([1.0, 2.0, 3.0]), jnp.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(y.mean((1, 2)), np.tile([0.0, 1, 2], (6, 1)), atol=1e-5)
    np.testing.assert_allclose(y.std((1, 2)), np.tile([1.0, 2, 3], (6, 1)), rtol=1e-4)
    network = conv_net(None, channels=4, layers=1, statistics="image")
    features = jax.jit(lambda images: network.apply(network.init(KEY, images), images))
    alone, among = (features(images)[0] for images in (x.at[1:].set(0), x))
    np.testing.assert_array_equal(alone, among)
    with pytest.raises(ConfigError, match="statistics"):
        conv_net(None, statistics="images")


@pytest.mark.parametrize("size", [28, 5, 1])
def test_shapes(size):
    network = conv_net(3, channels=4, layers=3)
    outputs = jax.eval_shape(
        lambda x: network.apply(network.init(KEY, x), x),
        jax.ShapeDtypeStruct((6, size, size, 2), jnp.float32),
    )
    assert outputs.shape == (6, 3)
    features = conv_net(None, channels=4, layers=3)
    params = jax.eval_shape(lambda: features.init(KEY, jnp.zeros((6, size, size, 2))))
    assert set(params) == {"conv_0", "conv_1", "conv_2"}
    left = jax.eval_shape(features.apply, params, jax.ShapeDtypeStruct((6, size, size, 2), float))
    assert left.shape == (6, 4 * max(size // 8, 1) ** 2)


def test_second_order_by_task():
    """A gradient through an inner step, each task with its own kernels, is the loop's.

    In float64, where it found a maximum over an axis whose derivative XLA:CPU lost under vmap.
    """
    network = conv_net(3, channels=4, layers=2)

    def loss(params, x):
        return jnp.mean(jnp.square(network.apply(params, x) - 1.0))

    def outer(params, x):
        grads = jax.grad(loss)(params, x)
        return loss(jax.tree.map(lambda p, g: p - 0.1 * g, params, grads), x)

    with enable_x64(True):
        x = jax.random.normal(KEY, (2, 6, 5, 5, 2), jnp.float64)
        params = jax.tree.map(lambda p: p.astype(jnp.float64), jax.jit(network.init)(KEY, x[0]))
        together = jax.jit(jax.vmap(jax.grad(outer), (None, 0)))(params, x)
        alone = jax.jit(lambda p, x: jax.lax.map(lambda x: jax.grad(outer)(p, x), x))(params, x)
        chex.assert_trees_all_close(together, alone, rtol=1e-9, atol=1e-9)


def test_a_context_scales_and_shifts_and_zeros_change_nothing():
    """An affine map of the normalised channels: what scale and bias would do, folded in."""
    plain, network = (
        conv_net(3, channels=4, layers=1),
        conv_net(3, channels=4, layers=1, context_size=2),
    )
    images, context = jax.random.normal(KEY, (6, 5, 5, 2)), jnp.array([0.7, -0.4])
    params = jax.jit(network.init)(KEY, images, context)
    film = params["conv_0"].pop("film")
    same = network.apply(
        {**params, "conv_0": {**params["conv_0"], "film": film}}, images, 0 * context
    )
    np.testing.assert_allclose(same, plain.apply(params, images), atol=1e-6)
    factor, shift = jnp.split(context @ film["kernel"], 2)
    assert jnp.abs(factor).min() > 1e-3 and jnp.abs(shift).min() > 1e-3
    folded = {**params["conv_0"], "scale": 1 + factor, "bias": shift}
    found = network.apply({**params, "conv_0": {**params["conv_0"], "film": film}}, images, context)
    wanted = plain.apply({**params, "conv_0": folded}, images)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_outputs", 0),
        ("channels", 0),
        ("layers", 0),
        ("kernel_size", 4),
        ("context_size", 0),
    ],
)
def test_bad_sizes_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        conv_net(**{"num_outputs": 3, field: value})
