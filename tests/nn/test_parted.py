"""Batch normalization that keeps averages, and networks in parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.nn import Averages, batch_normalise, normalise_by, parted_conv_net

KEY = jax.random.key(0)
X = 3 + 2 * jax.random.normal(KEY, (16, 3, 3, 4))
SCALE, BIAS = jnp.array([1.0, 2.0, 0.5, -1.0]), jnp.array([0.0, 1.0, 2.0, 3.0])
KEPT = Averages(jnp.array([1.0, 2.0, 3.0, 4.0]), jnp.array([1.0, 4.0, 9.0, 0.25]))


def test_by_the_batch_it_is_the_normalization_without_averages():
    found, used = normalise_by(X, SCALE, BIAS, KEPT, True)
    np.testing.assert_allclose(found, batch_normalise(X, SCALE, BIAS), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(used.mean, np.mean(X, (0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(used.variance, np.var(X, (0, 1, 2)), rtol=1e-5)


def test_by_averages_every_example_stands_alone():
    found, used = normalise_by(X, SCALE, BIAS, KEPT, False)
    mean, variance, scale, bias = map(np.asarray, (*KEPT, SCALE, BIAS))
    expected = (np.asarray(X) - mean) / np.sqrt(variance + 1e-5) * scale + bias
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert used is KEPT
    one, _ = normalise_by(X[:1], SCALE, BIAS, KEPT, False)
    np.testing.assert_allclose(one, found[:1], rtol=1e-6, atol=1e-6)


def test_parts_halve_the_image_and_apply_is_one_after_the_other():
    network = parted_conv_net(5, (3, 6), layers=2)
    images = jax.random.normal(KEY, (4, 7, 7, 1))
    shapes = []

    @jax.jit
    def both(key, images):
        params, averages = network.init(key, images)
        x = images
        for index, part in enumerate(network.parts):
            name = f"part_{index}"
            x, used = part(params[name], averages[name], x, True)
            assert used.keys() == averages[name].keys()
            shapes.append(x.shape[1:])
        logits, _ = network.apply(params, averages, images, True)
        return logits, network.head(params["head"], x)

    logits, expected = both(KEY, images)
    np.testing.assert_allclose(logits, expected, rtol=1e-5)
    assert shapes == [(4, 4, 3), (2, 2, 6)]


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("channels", {"channels": ()}),
        ("channels", {"channels": (4, 0)}),
        ("layers", {"layers": 0}),
        ("num_outputs", {"num_outputs": 0}),
    ],
)
def test_sizes_below_one_are_rejected_by_name(field, options):
    with pytest.raises(ConfigError) as raised:
        parted_conv_net(**{"num_outputs": 3} | options)
    assert raised.value.field == field
