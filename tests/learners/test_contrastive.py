"""The contrastive loss, against its closed form and its differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from metajax.core import ConfigError
from metajax.learners import contrastive_loss

DRAW = np.random.default_rng(0)
LEFT, RIGHT = DRAW.normal(size=(2, 5, 3))


def written_out(left, right, log_scale):
    """The mean of both cross-entropies, in float64."""
    left, right = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (left, right))
    cosines = min(np.exp(log_scale), 100) * left @ right.T
    own = np.diag(cosines)
    return np.mean(logsumexp(cosines, axis=1) + logsumexp(cosines, axis=0) - 2 * own) / 2


@pytest.mark.parametrize("log_scale", [-1.0, 0.0, 2.66, 7.0])
def test_it_is_the_mean_of_both_cross_entropies(log_scale):
    found = contrastive_loss(
        jnp.asarray(LEFT, jnp.float32), jnp.asarray(RIGHT, jnp.float32), log_scale
    )
    np.testing.assert_allclose(found, written_out(LEFT, RIGHT, log_scale), rtol=1e-5)


def test_partners_that_are_alike_alone_have_its_least_value():
    """All others at a right angle: ``log(1 + (n - 1) / e)``; all alike: ``log n``."""
    same = jnp.eye(4)
    np.testing.assert_allclose(contrastive_loss(same, 3 * same), np.log(1 + 3 / np.e), rtol=1e-6)
    np.testing.assert_allclose(
        contrastive_loss(jnp.ones((4, 2)), jnp.ones((4, 2))), np.log(4), rtol=1e-6
    )
    with pytest.raises(ConfigError, match="shape of the left"):
        contrastive_loss(same, same[:3])


def test_its_gradient_is_that_of_float64_differences():
    arguments = [jnp.asarray(each, jnp.float32) for each in (LEFT, RIGHT, 0.7)]
    found = jax.grad(contrastive_loss, (0, 1, 2))(*arguments)
    for place, slope in enumerate(found):
        direction = DRAW.normal(size=slope.shape)

        def at(step, place=place, direction=direction):
            moved = [LEFT, RIGHT, 0.7]
            moved[place] = moved[place] + step * direction
            return written_out(*moved)

        wanted = (at(1e-5) - at(-1e-5)) / 2e-5
        np.testing.assert_allclose(np.sum(np.asarray(slope) * direction), wanted, rtol=1e-4)


def test_zero_vectors_and_scales_beyond_the_most_are_finite():
    slope = jax.grad(contrastive_loss)(jnp.zeros((2, 3)), jnp.eye(2, 3), 0.0)
    assert np.all(np.isfinite(slope))
    assert jax.grad(contrastive_loss, 2)(jnp.eye(2), jnp.eye(2), 9.0) == 0
