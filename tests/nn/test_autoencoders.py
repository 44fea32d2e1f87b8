"""The autoencoder: shapes of any size, and the bound against a closed form in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from metajax.core import ConfigError, Network
from metajax.nn import (
    Autoencoder,
    conv_autoencoder,
    conv_encoder,
    normal_divergence,
    variational_loss,
)

DRAW = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(4, 4, 1), (7, 6, 3)])
def test_images_of_any_size_are_encoded_and_decoded(shape):
    encoder, decoder = conv_autoencoder(shape, latents=3, channels=2)
    images = jnp.asarray(DRAW.uniform(size=(5, *shape)), jnp.float32)
    made = encoder.init(jax.random.key(0), images)
    means, log_variances = encoder.apply(made, images)
    assert means.shape == log_variances.shape == (5, 3)
    params = decoder.init(jax.random.key(1), means)
    found = decoder.apply(params, means)
    assert found.shape == images.shape and found.min() > 0 and found.max() < 1
    kernels = {name: layer["kernel"].shape for name, layer in params.items()}
    convolutions = [kernel for kernel in kernels.values() if len(kernel) == 4]
    assert convolutions == [(3, 3, 2, 2), (3, 3, 2, 2), (3, 3, 2, shape[2])]
    alone = decoder.apply(params, means[:1])  # nothing of a batch is shared
    np.testing.assert_allclose(alone, found[:1], rtol=1e-6)


def test_the_bound_is_its_closed_form():
    """For a linear decoder the expected error is that of the mean plus the latent's variance."""
    weights = DRAW.normal(size=(2, 4))
    means, log_variances = DRAW.normal(size=(2, 3, 2))
    images = DRAW.normal(size=(3, 2, 2, 1))
    given = jnp.asarray(means, jnp.float32), jnp.asarray(log_variances, jnp.float32)
    linear = Network(lambda key: None, lambda p, z: (z @ p).reshape(-1, 2, 2, 1))
    fixed = Autoencoder(Network(lambda key: None, lambda params, images: params), linear)

    def one(key):
        shown = jnp.asarray(images, jnp.float32)
        return variational_loss(fixed, given, jnp.asarray(weights, jnp.float32), shown, 0.5, key)

    draws = np.asarray(jax.vmap(one)(jax.random.split(jax.random.key(0), 20_000)), float)
    error = np.square(means @ weights - images.reshape(3, 4)).sum()
    error += np.einsum("nd,dp->", np.exp(log_variances), weights**2)
    divergence = (means**2 + np.exp(log_variances) - 1 - log_variances).sum() / 2
    expected = error / 12 / (2 * 0.25) + divergence / 3 / 4
    assert abs(draws.mean() - expected) < 4 * draws.std() / np.sqrt(len(draws))


@pytest.mark.parametrize("sizes", [{"latents": 0}, {"channels": 0}])
def test_sizes_below_one_are_rejected(sizes):
    with pytest.raises(ConfigError, match=next(iter(sizes))):
        conv_autoencoder((4, 4, 1), **sizes)
    with pytest.raises(ConfigError, match="num_outputs"):
        conv_encoder(0)
    with pytest.raises(ConfigError, match="height"):
        conv_autoencoder((0, 4, 1))


def test_the_divergence_is_that_of_the_integral():
    for mean, log_variance in ((0.3, -0.8), (-1.2, 0.4)):
        own = stats.norm(mean, np.exp(log_variance / 2))
        wanted = integrate.quad(
            lambda x, own=own: own.pdf(x) * (own.logpdf(x) - stats.norm.logpdf(x)), -12, 12
        )[0]
        found = normal_divergence(jnp.array([mean]), jnp.array([log_variance]))
        np.testing.assert_allclose(found, wanted, rtol=1e-4)
    both = normal_divergence(jnp.array([[0.3, -1.2]]), jnp.array([[-0.8, 0.4]]))
    each = [
        normal_divergence(jnp.array([a]), jnp.array([b])) for a, b in ((0.3, -0.8), (-1.2, 0.4))
    ]
    np.testing.assert_allclose(both, [sum(each)], rtol=1e-6)
    assert normal_divergence(jnp.zeros(3), jnp.zeros(3)) == 0


def test_the_divergence_has_the_slopes_of_its_closed_form():
    mean, log_variance = (jnp.asarray(x, jnp.float32) for x in DRAW.normal(size=(2, 4)))
    slopes = jax.grad(normal_divergence, (0, 1))(mean, log_variance)
    np.testing.assert_allclose(slopes[0], mean, rtol=1e-6)
    np.testing.assert_allclose(slopes[1], (np.exp(log_variance) - 1) / 2, rtol=1e-5, atol=1e-7)
