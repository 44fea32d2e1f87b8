"""A variational autoencoder of vectors, against closed forms and differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, enable_x64
from metajax.hypernet import autoencoder_loss, vector_autoencoder
from metajax.nn import normal_divergence

DRAW = np.random.default_rng(0)


def test_the_loss_is_the_distance_of_what_is_decoded_and_the_divergence():
    coder = vector_autoencoder(5, 2, [4])
    key, params = jax.random.key(1), coder.init(jax.random.key(0))
    vectors = jnp.asarray(DRAW.normal(size=(3, 5)), jnp.float32)
    mean, log_variance = coder.encode(params, vectors)
    latents = mean + np.exp(np.asarray(log_variance) / 2) * jax.random.normal(key, mean.shape)
    apart = np.sum((np.asarray(coder.decode(params, latents)) - vectors) ** 2, axis=1)
    wanted = np.mean(apart + 0.3 * np.asarray(normal_divergence(mean, log_variance))) / 5
    np.testing.assert_allclose(
        autoencoder_loss(coder, params, vectors, 0.3, key), wanted, rtol=1e-5
    )
    with pytest.raises(ConfigError, match="hidden"):
        vector_autoencoder(5, 2, [])


def test_the_gradient_of_the_loss_is_that_of_float64_differences():
    coder = vector_autoencoder(4, 2, [3])
    like = coder.init(jax.random.key(0))
    with enable_x64(True):
        params = jax.tree.map(lambda leaf: jnp.asarray(DRAW.normal(size=leaf.shape)), like)
        direction = jax.tree.map(lambda leaf: jnp.asarray(DRAW.normal(size=leaf.shape)), params)
        vectors = jnp.asarray(DRAW.normal(size=(3, 4)))

        @jax.jit
        def loss(params):
            return autoencoder_loss(coder, params, vectors, 0.3, jax.random.key(1))

        def at(step):
            return loss(jax.tree.map(lambda leaf, way: leaf + step * way, params, direction))

        slope = jax.tree.map(lambda a, b: jnp.sum(a * b), jax.grad(loss)(params), direction)
        wanted = (at(1e-6) - at(-1e-6)) / 2e-6
        np.testing.assert_allclose(sum(jax.tree.leaves(slope)), wanted, rtol=1e-6)
