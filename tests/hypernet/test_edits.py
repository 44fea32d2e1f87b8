"""Edits of weights: none of them leaves the weights bit for bit as they were."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import low_rank_factors, low_rank_update, modulate

DRAW = np.random.default_rng(0)
PARAMS = {
    "conv": {"kernel": jnp.asarray(DRAW.normal(size=(3, 3, 2, 4)), jnp.float32)},
    "head": {
        "kernel": jnp.asarray(DRAW.normal(size=(4, 5)), jnp.float32),
        "bias": jnp.asarray(DRAW.normal(size=5), jnp.float32),
    },
}


def assert_equal(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_deltas_are_the_same_for_all_taps():
    delta = DRAW.normal(size=(2, 4)).astype(np.float32)
    deltas = {"conv": {"kernel": jnp.asarray(delta)}, "head": {"kernel": None, "bias": None}}
    found = modulate(PARAMS, deltas)
    kernel = np.asarray(PARAMS["conv"]["kernel"])
    for row in range(3):
        for column in range(3):
            tap = kernel[row, column] * (1 + delta)
            np.testing.assert_allclose(found["conv"]["kernel"][row, column], tap, rtol=1e-6)
    assert_equal(found["head"], PARAMS["head"])


def test_edits_of_zero_return_the_parameters_bit_for_bit():
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape[-2:]), PARAMS)
    assert_equal(modulate(PARAMS, zeros), PARAMS)
    a, b = low_rank_factors(jax.random.key(0), PARAMS, 2)
    assert a["head"]["bias"] is None and a["conv"]["kernel"].shape == (18, 2)
    assert_equal(low_rank_update(PARAMS, a, b, 16.0), PARAMS)


def test_an_update_has_its_rank_and_is_the_product_of_its_factors():
    a, b = low_rank_factors(jax.random.key(0), PARAMS, 2)
    b = jax.tree.map(lambda leaf: jnp.asarray(DRAW.normal(size=leaf.shape), jnp.float32), b)
    found = low_rank_update(PARAMS, a, b, 0.5)
    for path in ("conv", "head"):
        before = np.asarray(PARAMS[path]["kernel"], float)
        change = (np.asarray(found[path]["kernel"], float) - before).reshape(-1, before.shape[-1])
        product = 0.5 * np.asarray(a[path]["kernel"], float) @ np.asarray(b[path]["kernel"], float)
        np.testing.assert_allclose(change, product, atol=1e-5)
        singular = np.linalg.svd(change, compute_uv=False)
        assert singular[1] > 1e-2 > 1e3 * singular[2]
    assert_equal(found["head"]["bias"], PARAMS["head"]["bias"])


def test_edits_that_do_not_fit_are_rejected():
    none = jax.tree.map(lambda leaf: None, PARAMS)
    with pytest.raises(ConfigError, match="a tree like the parameters"):
        modulate(PARAMS, {"conv": None})
    wrong = {**none, "conv": {"kernel": jnp.zeros((4, 2))}}
    with pytest.raises(ConfigError, match="deltas of conv/kernel"):
        modulate(PARAMS, wrong)
    with pytest.raises(ConfigError, match="factors of conv/kernel"):
        low_rank_update(PARAMS, wrong, wrong)
    with pytest.raises(ConfigError, match="factors of conv/kernel"):
        low_rank_update(PARAMS, wrong, none)
    with pytest.raises(ConfigError, match="rank"):
        low_rank_factors(jax.random.key(0), PARAMS, 0)
