"""Diffusion of vectors and principal components, against what is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.hypernet import (
    decode_principal,
    denoiser,
    diffusion_loss,
    encode_principal,
    principal_components,
    sample_diffusion,
    signal_shares,
)

LEVELS, MEAN, DEVIATION = 500, 1.5, 0.6
SHARES = jnp.asarray(signal_shares(LEVELS), jnp.float32)


def exact_velocity(noisy, level):
    """The best prediction where vectors are normal with ``MEAN`` and ``DEVIATION``."""
    share = SHARES[level][:, None]
    signal, noise = jnp.sqrt(share), jnp.sqrt(1 - share)
    variance = share * DEVIATION**2 + noise**2
    clean = MEAN + signal * DEVIATION**2 / variance * (noisy - signal * MEAN)
    drawn = (noisy - signal * clean) / noise
    return signal * drawn - noise * clean


def test_noise_grows_from_little_to_all():
    shares = signal_shares(1000)
    assert np.all(np.diff(shares) < 0) and shares[0] > 0.9999 and 0 < shares[-1] < 1e-4


@pytest.mark.slow
def test_samples_of_the_exact_model_have_the_distribution_of_the_data():
    sample = jax.jit(lambda key: sample_diffusion(exact_velocity, (4000, 2), LEVELS, key))
    found = np.asarray(sample(jax.random.key(0)), float)
    # 4 standard errors of the mean; steps of finite size make the deviation smaller, 1 over LEVELS
    assert abs(found.mean() - MEAN) < 4 * DEVIATION / np.sqrt(found.size)
    assert abs(found.std() - DEVIATION) < 0.02 * DEVIATION
    assert abs(np.corrcoef(found.T)[0, 1]) < 4 / np.sqrt(len(found))
    np.testing.assert_array_equal(sample(jax.random.key(0)), found.astype(np.float32))
    assert np.any(sample(jax.random.key(1)) != found)


def test_the_exact_model_has_the_least_loss():
    draw = np.random.default_rng(0)
    clean = jnp.asarray(MEAN + DEVIATION * draw.normal(size=(2000, 2)), jnp.float32)

    @jax.jit
    def losses(clean):
        def scaled(factor):
            return lambda noisy, level: factor * exact_velocity(noisy, level)

        key = jax.random.key(0)
        return [diffusion_loss(scaled(f), clean, LEVELS, key) for f in (0.9, 1.0, 1.1)]

    less, exact, more = losses(clean)
    assert exact < less and exact < more


def test_components_are_those_of_the_vectors():
    draw = np.random.default_rng(0)
    basis = np.linalg.qr(draw.normal(size=(9, 3)))[0].T
    vectors = 4 + draw.normal(size=(30, 3)) * [5.0, 2.0, 1.0] @ basis
    vectors = jnp.asarray(vectors, jnp.float32)
    code = principal_components(vectors, 3)
    latents = encode_principal(code, vectors)
    np.testing.assert_allclose(decode_principal(code, latents), vectors, atol=1e-4)
    np.testing.assert_allclose(np.std(latents, axis=0, ddof=1), 1, rtol=1e-4)
    np.testing.assert_allclose(code.axes @ code.axes.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(code.share, 1, rtol=1e-5)
    assert principal_components(vectors, 1).share < 0.95
    with pytest.raises(ConfigError, match="1 to 9 components of 30 vectors"):
        principal_components(vectors, 10)


def test_a_denoiser_reads_vectors_levels_and_conditions():
    network = denoiser(2, LEVELS, [8])
    given = jnp.ones((3, 2)), jnp.arange(3), jnp.ones((3, 4))
    params = jax.jit(network.init)(jax.random.key(0), *given)
    found = jax.jit(network.apply)(params, *given)
    assert found.shape == (3, 2) and np.abs(found[0] - found[1]).max() > 1e-3
    with pytest.raises(ConfigError, match="hidden"):
        denoiser(2, LEVELS, [])
