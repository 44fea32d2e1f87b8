"""One draw for all parameters: the distribution that Flax's initialiser would have given each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import linen as nn

from metajax.nn.initial import draw_normals

KEY = jax.random.key(0)
PARAMS = {
    "a": {"kernel": jnp.zeros((200, 60)), "bias": jnp.ones(60)},
    "b": {"kernel": jnp.zeros((5, 5, 8, 100)), "scale": jnp.full(100, 2.0)},
}


@pytest.fixture(scope="module")
def drawn():
    return jax.jit(draw_normals)(KEY, PARAMS)


@pytest.mark.parametrize("layer", ["a", "b"])
def test_kernels_are_distributed_as_flax_draws_them(drawn, layer):
    """Two-sample Kolmogorov-Smirnov against `lecun_normal` of the same shape."""
    ours = np.asarray(drawn[layer]["kernel"])
    flax = nn.initializers.lecun_normal()(jax.random.key(1), ours.shape, jnp.float32)
    assert scipy.stats.ks_2samp(ours.ravel(), np.asarray(flax).ravel()).pvalue > 1e-3
    assert abs(ours.std() * np.prod(ours.shape[:-1]) ** 0.5 - 1) < 0.02


def test_other_parameters_stay(drawn):
    np.testing.assert_array_equal(drawn["a"]["bias"], PARAMS["a"]["bias"])
    np.testing.assert_array_equal(drawn["b"]["scale"], PARAMS["b"]["scale"])


def test_no_two_kernels_share_values(drawn):
    a, b = (np.asarray(drawn[x]["kernel"]).ravel() for x in "ab")
    ours = np.concatenate([a / a.std(), b / b.std()])
    assert len(np.unique(ours)) > 0.99 * len(ours)


def test_deviations_can_be_named():
    drawn = draw_normals(KEY, PARAMS, lambda name, leaf: 0.5 if name == "scale" else None)
    np.testing.assert_array_equal(drawn["a"]["kernel"], PARAMS["a"]["kernel"])
    assert 0.4 < float(drawn["b"]["scale"].std()) < 0.6
