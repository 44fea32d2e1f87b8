"""Magnitude invariant hypernetworks: homogeneity, the encoding's norm, learned weights added."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import magnitude_invariant, unit_encoding
from metajax.nn import mlp

TARGET = mlp((9,), 3)
DRAWS = 64


def start(key):
    return TARGET.init(key, np.zeros((1, 5), np.float32))


def make(**options):
    return magnitude_invariant(start, hidden=(4, 8), **options)


@pytest.mark.parametrize("size", [1, 3])
def test_an_encoding_has_the_squared_norm_of_its_size(size):
    z = np.random.default_rng(0).uniform(size=(50, size)).astype(np.float32)
    found = np.asarray(unit_encoding(z), np.float64)
    np.testing.assert_allclose(np.sum(found**2, axis=1), size, atol=1e-6)
    np.testing.assert_allclose(found[:, :size] ** 2 + found[:, size:] ** 2, 1, atol=1e-6)


def zeroed_offsets(params):
    """Parameters without anything that is added to a product."""

    def change(path, leaf):
        return jnp.zeros_like(leaf) if path[-1].key in ("bias", "offset") else leaf

    return jax.tree_util.tree_map_with_path(change, params)


def test_twice_the_latent_gives_twice_the_weights_bit_for_bit():
    """The defect: a power of two commutes with rounding, so no tolerance is needed."""
    hypernet = make(encoding=False, base=None)

    @jax.jit
    def both(key, z):
        params = zeroed_offsets(hypernet.init(key, z))
        return hypernet.apply(params, z), hypernet.apply(params, 2 * z)

    one, two = both(jax.random.key(0), jnp.array([0.3, 0.11]))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(2 * a, b)
    assert np.any(one["Dense_0"]["kernel"])


def test_the_scale_at_the_start_depends_on_the_latent_unless_it_is_encoded():
    z = jnp.array([[0.0], [0.3], [1.0]])
    keys = jax.random.split(jax.random.key(0), DRAWS)

    def squares(hypernet):
        def one(key):
            made = hypernet.apply(zeroed_offsets(hypernet.init(key, z[0])), z)
            return jnp.mean(jnp.square(made["Dense_0"]["kernel"]), axis=(1, 2))

        return np.asarray(jax.jit(jax.vmap(one))(keys), np.float64)

    encoded, raw = squares(make(base=None)), squares(make(encoding=False, base=None))
    mean, error = encoded.mean(0), encoded.std(0, ddof=1) / np.sqrt(DRAWS)
    assert np.all(np.abs(mean - mean.mean()) < 4 * error)
    np.testing.assert_allclose(raw[:, 1], 0.09 * raw[:, 2], rtol=1e-4)
    assert not raw[:, 0].any()


def test_without_what_is_generated_the_learned_weights_remain():
    hypernet = make()

    @jax.jit
    def bare(key, z):
        params = hypernet.init(key, z[:1])
        heads = {
            name: {**head, "out": jax.tree.map(jnp.zeros_like, head["out"])}
            for name, head in params["heads"].items()
        }
        made = hypernet.apply({**params, "heads": heads}, z[:, None])
        return made["Dense_0"]["kernel"], heads["Dense_0/kernel"]["base"]

    made, base = bare(jax.random.key(0), jnp.array([0.0, 0.7]))
    assert np.any(base)
    for kernel in made:
        np.testing.assert_array_equal(kernel, base)


def test_bad_options_are_rejected_by_name():
    for options, field in (({"hidden": ()}, "hidden"), ({"hidden": (3, 0)}, "hidden_1")):
        with pytest.raises(ConfigError) as raised:
            magnitude_invariant(start, **options)
        assert raised.value.field == field
