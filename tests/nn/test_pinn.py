"""The modified MLP: its size, its equations, and its derivatives against finite differences."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from metajax.core import ConfigError, cast_floats, count, enable_x64
from metajax.nn import fourier_features, modified_mlp

POINTS = np.random.default_rng(0).uniform(-1, 1, (17, 2)).astype(np.float32)


def made(network, key=0):
    """Parameters whose biases are not zero."""
    params = jax.jit(network.init)(jax.random.key(key), POINTS)
    draw = np.random.default_rng(key).standard_normal
    return jax.tree.map(lambda p: p + 0.2 * draw(p.shape).astype(p.dtype), params)


def reference(params, points, frequencies=5, scale=0.1):
    """One point at a time in numpy, float64."""
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    found = []
    for point in np.asarray(points, np.float64):
        angles = [2 * np.pi * scale * 2**i * c for c in point for i in range(frequencies)]
        x = np.array([*np.sin(angles), *np.cos(angles), *point])
        u, v, h = (
            np.tanh(x @ p[name]["kernel"] + p[name]["bias"])
            for name in ("gate_u", "gate_v", "layer_0")
        )
        for number in range(1, len(p) - 3):
            h = u * h + v * (1 - h)
            h = np.tanh(h @ p[f"layer_{number}"]["kernel"] + p[f"layer_{number}"]["bias"])
        found.append(h @ p["head"]["kernel"] + p["head"]["bias"])
    return np.array(found)


def test_the_default_has_seven_kernels_and_biases_and_5409_numbers():
    params = jax.eval_shape(modified_mlp().init, jax.random.key(0), POINTS)
    leaves = jax.tree.leaves_with_path(params)
    assert count(params) == 5409
    for name in ("kernel", "bias"):
        assert sum(path[-1].key == name for path, _ in leaves) == 7
    assert params["gate_u"]["kernel"].shape == (22, 32)


@pytest.mark.parametrize("options", [{}, {"layers": 0, "frequencies": 0, "num_outputs": 3}])
def test_values_are_those_of_the_equations(options):
    network = modified_mlp(**options)
    params = made(network)
    frequencies = options.get("frequencies", 5)
    found = jax.jit(network.apply)(params, POINTS)
    np.testing.assert_allclose(found, reference(params, POINTS, frequencies), atol=2e-6)
    shaped = jax.jit(network.apply)(params, POINTS[:16].reshape(2, 8, 2))
    np.testing.assert_allclose(shaped.reshape(16, -1), found[:16], atol=1e-6)


def test_fourier_features_are_sines_cosines_and_the_numbers_themselves():
    x = np.array([[0.5, -2.0]])
    with enable_x64(True):
        found = fourier_features(jnp.asarray(x), 3, 0.25)
    angles = [0.25 * np.pi, 0.5 * np.pi, np.pi, -np.pi, -2 * np.pi, -4 * np.pi]
    np.testing.assert_allclose(found[0], [*np.sin(angles), *np.cos(angles), *x[0]], atol=1e-12)


@pytest.mark.parametrize("hidden", [False, True])
def test_derivatives_agree_with_finite_differences_in_float64(hidden):
    with enable_x64(True):
        network = modified_mlp(2)
        params, points = cast_floats((made(network), jnp.asarray(POINTS)), jnp.float64)
        both = jax.jit(network.derivatives)(params, points)
        found = both[hidden]
        assert found.u.shape == (17, 32 if hidden else 2)

        @jax.jit
        def value(points):
            return network.derivatives(params, points)[hidden].u

        if not hidden:
            np.testing.assert_allclose(value(points), network.apply(params, points), rtol=1e-12)
        step = 3e-4
        stencil = {
            (i, j): value(points + step * jnp.array([[i, j]], jnp.float64))
            for i in (-2, -1, 0, 1, 2)
            for j in (-2, -1, 0, 1, 2)
        }
        # fourth order: from -2 to 2 steps
        first = {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}
        second = {-2: -1 / 12, -1: 4 / 3, 0: -5 / 2, 1: 4 / 3, 2: -1 / 12}
        expected = {
            "x": sum(c * stencil[i, 0] for i, c in first.items()) / step,
            "y": sum(c * stencil[0, i] for i, c in first.items()) / step,
            "xx": sum(c * stencil[i, 0] for i, c in second.items()) / step**2,
            "yy": sum(c * stencil[0, i] for i, c in second.items()) / step**2,
            "xy": sum(a * b * stencil[i, j] for i, a in first.items() for j, b in first.items())
            / step**2,
        }
        for name, value in expected.items():
            scale = np.abs(value).max()
            assert scale > 0.1
            np.testing.assert_allclose(getattr(found, name), value, atol=1e-7 * scale)


def test_outputs_are_linear_in_the_hidden_layer_with_all_derivatives():
    network = modified_mlp()
    params = made(network)
    outputs, hidden = jax.jit(network.derivatives)(params, POINTS)
    for name in outputs._fields:
        expected = getattr(hidden, name) @ params["head"]["kernel"]
        if name == "u":
            expected = expected + params["head"]["bias"][None]
        np.testing.assert_allclose(getattr(outputs, name), expected, rtol=1e-5, atol=1e-4)


def residual_loss(derivatives, points):
    u, _ = derivatives
    residual = 0.5 * u.u - u.x + 2 * u.y + 0.3 * u.xx - u.yy + 0.7 * u.xy
    return jnp.mean(jnp.square(residual[..., 0] - jnp.sin(points[..., 0])))


@pytest.mark.slow
def test_gradients_of_a_residual_agree_with_finite_differences_and_nested_derivatives():
    with enable_x64(True):
        network = modified_mlp(width=5, layers=2, frequencies=2)
        params, points = cast_floats((made(network), jnp.asarray(POINTS)), jnp.float64)

        def loss(params):
            return residual_loss(network.derivatives(params, points), points)

        def nested(params):
            def one(point):
                def u(point):
                    return network.apply(params, point)[0]

                slope, curve = jax.grad(u)(point), jax.hessian(u)(point)
                residual = 0.5 * u(point) - slope[0] + 2 * slope[1]
                residual += 0.3 * curve[0, 0] - curve[1, 1] + 0.7 * curve[0, 1]
                return jnp.square(residual - jnp.sin(point[0]))

            return jnp.mean(jax.vmap(one)(points))

        check_grads(jax.jit(loss), (params,), 1, eps=1e-5, rtol=1e-7, atol=1e-7)
        ours, theirs = jax.jit(jax.value_and_grad(loss))(params), jax.value_and_grad(nested)(params)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9), ours, theirs
        )


def test_mapped_over_networks_equals_a_loop():
    network = modified_mlp(width=8)
    params = [made(network, key) for key in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *params)
    points = np.stack([POINTS, POINTS[::-1], POINTS**2])
    mapped = jax.jit(jax.vmap(network.derivatives))(stacked, points)
    derivatives = jax.jit(network.derivatives)
    alone = [derivatives(*pair) for pair in zip(params, points, strict=True)]
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *alone)
    for one, other in zip(jax.tree.leaves(mapped), jax.tree.leaves(looped), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_computes_in_the_dtype_of_the_params():
    network = modified_mlp()
    params = cast_floats(made(network), jnp.bfloat16)
    found = jax.eval_shape(network.derivatives, params, POINTS)
    shapes = jax.tree.leaves((found, jax.eval_shape(network.apply, params, POINTS)))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"num_outputs": 0}, "num_outputs"),
        ({"width": 0}, "width"),
        ({"layers": -1}, "layers"),
        ({"frequencies": -1}, "frequencies"),
    ],
)
def test_sizes_out_of_range_are_refused(options, field):
    with pytest.raises(ConfigError, match=f"^{field} = "):
        modified_mlp(**options)


def test_points_out_of_the_plane_are_refused():
    network = modified_mlp()
    with pytest.raises(ConfigError, match=r"^points = "):
        network.init(jax.random.key(0), jnp.zeros((4, 3)))
