"""Keeping so many units: the same function as taking them, by one program for all numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.nn import mlp
from metajax.units import keep_first, keep_largest, mlp_units, slice_units, take_units, unit_norms

INPUTS = np.random.default_rng(0).standard_normal((5, 6)).astype(np.float32)
NETWORK = mlp((4, 6, 4), 3)
PARAMS = NETWORK.init(jax.random.key(0), INPUTS)
UNITS = mlp_units(PARAMS)


@pytest.fixture(scope="module")
def kept():
    def both(size):
        sizes = {"h1": size}
        found = keep_first(PARAMS, UNITS, sizes), keep_largest(PARAMS, UNITS, sizes)
        return [NETWORK.apply(params, INPUTS) for params in found]

    return jax.jit(jax.vmap(both))(jnp.array([1, 3, 6]))


@pytest.mark.parametrize(("place", "size"), [(0, 1), (1, 3), (2, 6)])
def test_masked_units_are_the_taken_ones(kept, place, size):
    small = mlp((4, size, 4), 3)
    first = small.apply(slice_units(PARAMS, UNITS, {"h1": size}), INPUTS)
    np.testing.assert_allclose(kept[0][place], first, rtol=1e-5, atol=1e-5)
    norms = np.asarray(unit_norms(PARAMS, UNITS)["h1"])
    largest = np.sort(np.argsort(-norms)[:size])
    taken = small.apply(take_units(PARAMS, UNITS, {"h1": largest}), INPUTS)
    np.testing.assert_allclose(kept[1][place], taken, rtol=1e-5, atol=1e-5)
