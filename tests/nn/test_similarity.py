"""Similarities: what changes no inner product changes none of them, nor does a unit of measure."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.nn import (
    RidgeKernel,
    inner_products,
    mean_square,
    running_mean_square,
    similarities,
)

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(2, 9, 6)), jnp.float32)
TURN = jnp.asarray(np.linalg.qr(RNG.normal(size=(6, 6)))[0], jnp.float32)


@jax.jit
def of(x):
    products = inner_products(x, x)
    return similarities(products, running_mean_square(products.left, 4))


@pytest.mark.parametrize(
    "changed",
    [X @ TURN, jnp.pad(X, ((0, 0), (0, 0), (0, 3))), X[..., ::-1], 7 * X],
    ids=["turned", "padded", "permuted", "scaled"],
)
def test_similarities_see_inner_products_and_no_units(changed):
    # near itself the logarithm of a distance is that of its rounding, of which 1e-2 hides most
    np.testing.assert_allclose(of(changed), of(X), rtol=1e-4, atol=2e-4)


def test_similarities_are_those_of_their_formulas():
    x = np.asarray(X[0], np.float64)
    scale = np.sum(x**2, -1).mean()
    found = jax.jit(similarities)(inner_products(X, X), jnp.full((2, 9), scale, jnp.float32))[0]
    squares = np.sum((x[:, None] - x[None]) ** 2, -1) / scale
    norms = np.linalg.norm(x, axis=-1)
    wanted = [-squares, x @ x.T / np.outer(norms, norms), -np.log(squares + 0.01)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("gamma", [None, 0.5])
def test_kernels_of_directions_see_no_norms(gamma):
    """They are kernels of the inputs divided by their norms; every input has the same prior."""
    kernel = RidgeKernel(gamma, 0.1, directions=True)
    unit = X / jnp.linalg.norm(X, axis=-1, keepdims=True)
    stretched = X * jnp.arange(1.0, 10.0)[None, :, None]
    found = kernel.between(inner_products(stretched, X))
    wanted = RidgeKernel(gamma, 0.1).between(inner_products(unit, unit))
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    own = kernel.own(inner_products(X, X).left)
    np.testing.assert_allclose(own, jnp.diagonal(wanted, axis1=1, axis2=2), rtol=1e-5)


def test_a_running_scale_ends_with_its_first_inputs():
    squares = jnp.asarray([[1.0, 3.0, 5.0, 100.0, 7.0]])
    found = jax.jit(running_mean_square, static_argnums=1)(squares, 3)
    np.testing.assert_allclose(found, [[1, 2, 3, 3, 3]])
    np.testing.assert_allclose(mean_square(squares, squares < 4), [2])
    np.testing.assert_allclose(mean_square(squares, squares < 0), [1])
