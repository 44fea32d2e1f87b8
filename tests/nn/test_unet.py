"""The decoder of a U-Net: sizes, what reaches the output, and every parameter's gradient."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import unet_decoder
from metajax.nn.vision.unet import levels

DRAW = np.random.default_rng(0)
SHAPES = (11, 9, 2), (3, 3, 4), (2, 2, 5)


def normal(*shape):
    return DRAW.standard_normal(shape).astype(np.float32)


MAPS = [normal(3, *shape) for shape in SHAPES]


def made(network):
    """Parameters whose biases are not zero."""
    params = jax.jit(network.init)(jax.random.key(0), *MAPS)
    return jax.tree.map(lambda p: p + 0.1 * normal(*p.shape), params)


def gradient(network, params):
    return jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(network.apply(p, *MAPS)))))(params)


def test_sizes_are_halved_down_to_each_map():
    assert levels([(11, 9), (3, 3), (2, 2)]) == [
        ((11, 9), 0),
        ((6, 5), None),
        ((3, 3), 1),
        ((2, 2), 2),
    ]
    assert levels([(2, 1), (1, 1), (1, 1)]) == [((2, 1), 0), ((1, 1), 1), ((1, 1), 2)]
    for shapes in ([(8, 8), (3, 3)], [(4, 4), (4, 4)], [(4, 4), (8, 8)]):
        with pytest.raises(ConfigError, match=r"^maps = "):
            levels(shapes)


def test_the_image_has_the_finest_size_and_depends_on_every_map_and_parameter():
    network = unet_decoder(2, channels=3)
    params = made(network)
    run = jax.jit(network.apply)
    found = run(params, *MAPS)
    assert found.shape == (3, 11, 9, 2)
    mapped = jax.jit(jax.vmap(network.apply, (None, 0, 0, 0)))(params, *MAPS)
    np.testing.assert_allclose(mapped, found, atol=1e-4)
    for number in range(3):
        other = [x + normal(*x.shape) if i == number else x for i, x in enumerate(MAPS)]
        assert np.abs(run(params, *other) - found).max() > 1e-2
    grads = gradient(network, params)
    assert all(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(grads))


@pytest.mark.slow
def test_recomputed_blocks_give_the_same_gradients():
    network = unet_decoder(2, channels=3)
    params = made(network)
    again = gradient(unet_decoder(2, channels=3, remat=True), params)
    chex.assert_trees_all_close(again, gradient(network, params), rtol=1e-3, atol=1e-4)


def test_channels_double_at_each_coarser_size():
    params = jax.eval_shape(unet_decoder(channels=3).init, jax.random.key(0), *MAPS)
    kernels = [
        params[f"level_{level}"][f"Conv_{number}"]["kernel"].shape[-2:]
        for level in (3, 2, 1, 0)
        for number in (0, 1)
    ]
    # behind the resized image the map of that size; at 6 x 5 cells there is none
    assert kernels == [
        (5, 24),
        (24, 24),
        (24 + 4, 12),
        (12, 12),
        (12, 6),
        (6, 6),
        (6 + 2, 3),
        (3, 3),
    ]
    assert params["head"]["kernel"].shape == (1, 1, 3, 1)


def test_half_precision_is_close_to_single():
    full = unet_decoder(channels=4)
    params = made(full)
    with jax.numpy_dtype_promotion("standard"):  # which Flax's GroupNorm needs
        half = jax.jit(unet_decoder(channels=4, dtype=jnp.bfloat16).apply)(params, *MAPS)
    wanted = jax.jit(full.apply)(params, *MAPS)
    assert half.dtype == jnp.bfloat16 and wanted.dtype == jnp.float32
    assert np.std(half.astype(np.float32) - wanted) < 0.05 * np.std(wanted)


@pytest.mark.parametrize("field", ["num_outputs", "channels"])
def test_sizes_out_of_range_are_refused(field):
    with pytest.raises(ConfigError, match=f"^{field} = 0"):
        unet_decoder(**{field: 0})
