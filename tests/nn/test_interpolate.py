"""An image as a function: the spline of SciPy, cubics, finite differences, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.interpolate import RectBivariateSpline

from metajax.core import ConfigError, enable_x64
from metajax.nn import image_function
from metajax.physics.pde import nodes

DRAW = np.random.default_rng(0)
POINTS = np.concatenate([DRAW.uniform(-1, 1, (20, 2)), [[-1, -1], [1, 1], [1, -0.3], [0.2, 1]]])
ORDERS = {"u": (0, 0), "x": (1, 0), "y": (0, 1), "xx": (2, 0), "xy": (1, 1), "yy": (0, 2)}


@pytest.mark.parametrize("size", [4, 9])
def test_it_is_the_bicubic_spline_of_scipy(size):
    """RectBivariateSpline, whose ends are not-a-knot, too: values and all derivatives."""
    image, line = DRAW.standard_normal((size, size)), np.linspace(-1, 1, size)
    spline = RectBivariateSpline(line, line, image.T)
    with enable_x64(True):
        function = image_function(size)
        found, hidden = jax.jit(function.derivatives)(jnp.asarray(image), jnp.asarray(POINTS))
        value = function.apply(jnp.asarray(image), jnp.asarray(POINTS).reshape(2, -1, 2))
    for name, (dx, dy) in ORDERS.items():
        wanted = spline.ev(*POINTS.T, dx=dx, dy=dy)
        np.testing.assert_allclose(getattr(found, name)[:, 0], wanted, atol=1e-9)
        np.testing.assert_array_equal(getattr(hidden, name), getattr(found, name))
    np.testing.assert_allclose(value.reshape(-1, 1), found.u, atol=1e-12)


def test_cubics_of_each_coordinate_are_exact_on_the_nodes_of_problems_and_beyond_the_edge():
    """Values in float32 to its rounding; the derivatives and outside in float64."""
    cubic = np.polynomial.polynomial.polyval2d
    c = DRAW.standard_normal((4, 4))
    image = cubic(*np.moveaxis(np.asarray(nodes(8), np.float64), -1, 0), c)
    found = image_function(8).apply(jnp.asarray(image, jnp.float32), jnp.asarray(POINTS, "float32"))
    np.testing.assert_allclose(found[:, 0], cubic(*POINTS.T, c), atol=2e-5)
    with enable_x64(True):
        x = np.linspace(-1, 1, 8)
        image = jnp.asarray(cubic(*np.meshgrid(x, x), c))
        jet, _ = jax.jit(image_function(8).derivatives)(image, jnp.asarray(1.1 * POINTS))
    for name, (dx, dy) in ORDERS.items():
        slope = np.polynomial.polynomial.polyder
        wanted = cubic(*(1.1 * POINTS).T, slope(slope(c, dx, axis=0), dy, axis=1))
        np.testing.assert_allclose(getattr(jet, name)[:, 0], wanted, atol=1e-9)


def test_derivatives_agree_with_finite_differences_and_have_no_jumps_at_nodes():
    with enable_x64(True):
        function = image_function(6)
        image = jnp.asarray(DRAW.standard_normal((6, 6)))

        def at(shift):
            return function.derivatives(image, points + jnp.asarray(shift)[None])[0]

        # inside cells, and on inner nodes, to both sides of which a difference reaches
        points = jnp.asarray(np.concatenate([POINTS[:8], [[-0.6, 0.2], [0.6, -0.2]]]))
        step, found = 1e-5, at([0.0, 0.0])
        for axis, pairs in enumerate(
            ([("u", "x"), ("x", "xx"), ("y", "xy")], [("u", "y"), ("y", "yy"), ("x", "xy")])
        ):
            shift = step * np.eye(2)[axis]
            above, below = at(shift), at(-shift)
            for of, name in pairs:
                wanted = (getattr(above, of) - getattr(below, of)) / (2 * step)
                np.testing.assert_allclose(getattr(found, name), wanted, atol=5e-3)
                np.testing.assert_allclose(getattr(found, name)[:8], wanted[:8], atol=1e-6)


def test_errors_of_a_smooth_function_fall_as_the_fourth_power_and_the_square():
    def errors(size):
        line = np.linspace(-1, 1, size)
        x, y = np.meshgrid(line, line)
        with enable_x64(True):
            image = jnp.asarray(np.sin(3 * x + 1) * np.cos(2 * y))
            found, _ = image_function(size).derivatives(image, jnp.asarray(POINTS))
        u, xx = (np.asarray(leaf)[:, 0] for leaf in (found.u, found.xx))
        true = np.sin(3 * POINTS[:, 0] + 1) * np.cos(2 * POINTS[:, 1])
        return np.abs(u - true).max(), np.abs(xx + 9 * true).max()

    coarse, fine = errors(17), errors(65)
    assert coarse[0] > 4**3.5 * fine[0] and coarse[1] > 4**1.5 * fine[1]


def test_gradients_in_the_image_agree_with_finite_differences_and_are_mapped_over_images():
    with enable_x64(True):
        function = image_function(5)
        images = jnp.asarray(DRAW.standard_normal((3, 5, 5)))
        points = jnp.asarray(POINTS)

        def loss(image):
            jet, _ = function.derivatives(image, points)
            return jnp.mean(jnp.sin(jet.u + 0.3 * jet.xx - 0.2 * jet.xy))

        check_grads(jax.jit(loss), (images[0],), 1, modes=["rev"], rtol=1e-6, atol=1e-6)
        mapped = jax.jit(jax.vmap(jax.grad(loss)))(images)
        for image, found in zip(images, mapped, strict=True):
            np.testing.assert_allclose(jax.grad(loss)(image), found, atol=1e-12)


def test_what_cannot_be_is_refused():
    with pytest.raises(ConfigError, match=r"^size = 3"):
        image_function(3)
    function = image_function(4)
    with pytest.raises(ConfigError, match=r"^points = "):
        function.apply(jnp.zeros((4, 4)), jnp.zeros((2, 3)))
    with pytest.raises(ConfigError, match=r"^image = "):
        function.apply(jnp.zeros((5, 5)), jnp.zeros((2, 2)))
