"""Spectral convolutions against sums over the grid, and the operator that is made of them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, cast_floats, count
from metajax.nn import fourier_operator, spectral_conv2d

DRAW = np.random.default_rng(0)
MODES = 3


def normal(*shape):
    return DRAW.standard_normal(shape).astype(np.float32)


KERNEL = normal(2, 2 * MODES - 1, MODES, 2, 4)


@pytest.mark.parametrize("grid", [(5, 8), (7, 5)])
def test_it_is_a_circular_convolution(grid):
    """With a kernel in space that is the inverse transform of the frequencies, both by sums."""
    height, width = grid
    row, column = np.arange(height), np.arange(width)
    space = np.zeros((*grid, 2, 4))
    matrices = np.asarray(KERNEL, np.float64)
    for index, k in enumerate([0, 1, 2, -2, -1]):
        for l in range(MODES):  # noqa: E741
            angle = 2 * np.pi * (k * row[:, None] / height + l * column[None] / width)
            real, imaginary = matrices[:, index, l]
            wave = (
                np.cos(angle)[..., None, None] * real - np.sin(angle)[..., None, None] * imaginary
            )
            # the opposite frequency is the conjugate; where l is 0 both are given
            space += wave * (1 if l == 0 else 2) / (height * width)
    x = normal(3, *grid, 2)
    wanted = np.zeros((3, *grid, 4))
    for i in range(height):
        for j in range(width):
            wanted += np.roll(x, (i, j), (1, 2)) @ space[i, j]
    found = jax.jit(spectral_conv2d)(x, KERNEL)
    np.testing.assert_allclose(found, wanted, atol=2e-5)
    np.testing.assert_allclose(spectral_conv2d(x[1], KERNEL), wanted[1], atol=2e-5)


def test_it_commutes_with_shifts_and_drops_high_frequencies():
    x = normal(8, 9, 2)
    y = spectral_conv2d(x, KERNEL)
    shifted = spectral_conv2d(np.roll(x, (3, -2), (0, 1)), KERNEL)
    np.testing.assert_allclose(shifted, np.roll(y, (3, -2), (0, 1)), atol=1e-5)
    size = np.abs(np.fft.fft2(y, axes=(0, 1))).max(-1)
    kept = (np.abs(np.fft.fftfreq(8, 1 / 8)) < MODES)[:, None] & (
        np.abs(np.fft.fftfreq(9, 1 / 9)) < MODES
    )[None]
    assert size[kept].min() > 1e-2 and size[~kept].max() < 1e-4
    spectrum = np.fft.fft2(x, axes=(0, 1)) * kept[..., None]
    smooth = np.fft.ifft2(spectrum, axes=(0, 1)).real.astype(np.float32)
    np.testing.assert_allclose(spectral_conv2d(smooth, KERNEL), y, atol=1e-5)


def test_half_precision_is_transformed_in_float32():
    x, kernel = (jnp.asarray(leaf, jnp.bfloat16) for leaf in (normal(6, 6, 2), KERNEL))
    found = spectral_conv2d(x, kernel)
    assert found.dtype == jnp.bfloat16
    wanted = spectral_conv2d(x.astype(jnp.float32), kernel.astype(jnp.float32))
    np.testing.assert_array_equal(found, wanted.astype(jnp.bfloat16))


def test_frequencies_that_the_grid_does_not_hold_are_refused():
    with pytest.raises(ConfigError, match=r"^modes = 3.*at most 2"):
        spectral_conv2d(normal(8, 4, 2), KERNEL)


# the operator

OPERATOR = {"channels": 4, "modes": 2, "layers": 2, "padding": 2}


def made(network, *maps):
    """Parameters whose biases are not zero."""
    params = jax.jit(network.init)(jax.random.key(0), *maps)
    return jax.tree.map(lambda p: p + 0.1 * normal(*p.shape), params)


def gradient(network, params, maps):
    return jax.jit(jax.grad(lambda p: jnp.sum(jnp.sin(network.apply(p, *maps)))))(params)


def test_the_operator_maps_any_batch_of_grids_and_trains_all_its_parameters():
    network, maps = fourier_operator(2, **OPERATOR), (normal(3, 6, 5, 3), normal(3, 2, 3, 7))
    params = made(network, *maps)
    run = jax.jit(network.apply)
    found = run(params, *maps)
    assert found.shape == (3, 6, 5, 2)
    mapped = jax.jit(jax.vmap(network.apply, (None, 0, 0)))(params, *maps)
    np.testing.assert_allclose(mapped, found, atol=1e-5)
    grads = gradient(network, params, maps)
    assert all(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(grads))
    for number in range(2):
        other = [x + 1 if i == number else x for i, x in enumerate(maps)]
        assert np.abs(run(params, *other) - found).max() > 1e-2


@pytest.mark.slow
def test_recomputed_layers_give_the_same_gradients():
    network, maps = fourier_operator(2, **OPERATOR), (normal(3, 6, 5, 3),)
    params = made(network, *maps)
    again = gradient(fourier_operator(2, **OPERATOR, remat=True), params, maps)
    chex.assert_trees_all_close(again, gradient(network, params, maps), rtol=1e-3, atol=1e-4)


def test_a_finer_grid_gives_the_same_function():
    """A periodic smooth function without padding: parameters are those of functions, not grids."""
    network = fourier_operator(**{**OPERATOR, "padding": 0})
    params = made(network, normal(8, 8, 1))
    params["lift_0"]["kernel"] = params["lift_0"]["kernel"].at[1:].set(0)  # places are not periodic
    waves = [
        np.sin(2 * np.pi * np.arange(size) / size)[:, None, None]
        * np.cos(2 * np.pi * np.arange(size) / size)[None, :, None]
        for size in (24, 48)
    ]
    coarse, fine = (jax.jit(network.apply)(params, wave.astype(np.float32)) for wave in waves)
    np.testing.assert_allclose(fine[::2, ::2], coarse, atol=1e-3)
    assert np.std(coarse) > 0.05


def test_parameters_and_half_precision():
    network, x = fourier_operator(1, **OPERATOR, dtype=jnp.bfloat16), normal(8, 8, 3)
    params = made(network, x)
    layer = 2 * 3 * 2 * 4 * 4 + 4 * 4 + 4
    assert count(params) == (3 + 2) * 4 + 2 * layer + (4 + 1) * 16 + (16 + 1)
    full = jax.jit(fourier_operator(1, **OPERATOR).apply)(params, x)
    half = jax.jit(network.apply)(params, x)
    assert half.dtype == jnp.bfloat16 and full.dtype == jnp.float32
    assert np.std(half.astype(np.float32) - full) < 0.03 * np.std(full)
    own = jax.eval_shape(
        fourier_operator(1, **OPERATOR).apply, cast_floats(params, jnp.bfloat16), x
    )
    assert own.dtype == jnp.bfloat16


def test_the_start_keeps_the_variance_of_low_frequencies():
    network = fourier_operator(channels=64, modes=4, layers=1)
    kernel = network.init(jax.random.key(0), jnp.zeros((8, 8, 1)))["layer_0"]["spectral"]
    identity = np.stack([np.eye(64, dtype=np.float32), np.zeros((64, 64), np.float32)])
    low = spectral_conv2d(
        normal(9, 9, 64), np.broadcast_to(identity[:, None, None], (2, 7, 4, 64, 64))
    )
    found = spectral_conv2d(low, kernel)
    assert float(jnp.var(found)) == pytest.approx(float(jnp.var(low)), rel=0.15)


@pytest.mark.parametrize("field", ["num_outputs", "channels", "modes", "layers", "padding"])
def test_sizes_out_of_range_are_refused(field):
    with pytest.raises(ConfigError, match=f"^{field} = -1"):
        fourier_operator(**{field: -1})
