"""The mean of what a hypernetwork draws."""

import jax
import numpy as np
import pytest

from metajax.core import ConfigError, Network
from metajax.hypernet import drawn_mean


def drawing(params, size, key):
    return jax.random.normal(key, (3,))


def still(params, size, key):
    return jax.random.normal(jax.random.key(size), (3,))


def test_the_mean_is_that_of_a_loop_over_the_keys():
    key = jax.random.key(0)
    found = drawn_mean(Network(None, drawing), 7).apply(None, 1, key)
    wanted = np.mean([drawing(None, 1, each) for each in jax.random.split(key, 7)], axis=0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_mean_of_equal_weights_is_these_weights_bit_for_bit():
    found = drawn_mean(Network(None, still), 7).apply(None, 4, jax.random.key(0))
    np.testing.assert_array_equal(found, still(None, 4, None))


def test_less_than_one_draw_is_rejected():
    with pytest.raises(ConfigError) as raised:
        drawn_mean(Network(None, drawing), 0)
    assert raised.value.field == "num"
