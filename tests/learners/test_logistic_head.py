"""The logistic head: a minimum of its loss, the same from either side, differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from metajax.core import ConfigError, Examples, Task, enable_x64
from metajax.learners import logistic, logistic_solution
from metajax.nn import mlp


def data(n, d, k=3):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    return rng.normal(size=(n, d)), np.eye(k)[labels], labels


@pytest.mark.parametrize(("n", "d"), [(6, 9), (20, 4)], ids=["by examples", "by features"])
def test_it_ends_where_scipy_does(n, d):
    """At the minimum of the regularised negative log-likelihood, of each class by itself."""
    features, targets, _ = data(n, d)
    with enable_x64(True):
        found = logistic_solution(jnp.asarray(features), jnp.asarray(targets), jnp.float64(0.7), 30)

    def loss(w, y):
        return np.sum(np.logaddexp(0, features @ w) - y * (features @ w)) + 0.35 * w @ w

    for column, y in zip(np.asarray(found).T, targets.T, strict=True):
        best = scipy.optimize.minimize(loss, np.zeros(d), args=(y,), tol=1e-12)
        np.testing.assert_allclose(column, best.x, atol=1e-5)


def test_the_derivative_is_that_of_the_steps():
    features, targets, _ = data(6, 9)
    with enable_x64(True):
        direction = jnp.asarray(np.random.default_rng(1).normal(size=features.shape))

        @jax.jit
        def along(t):
            moved = jnp.asarray(features) + t * direction
            return jnp.sum(logistic_solution(moved, jnp.asarray(targets), jnp.exp(t), 4) ** 2)

        slope = jax.jit(jax.grad(along))(jnp.float64(0.0))
        measured = (along(1e-5) - along(-1e-5)) / 2e-5
    np.testing.assert_allclose(slope, measured, rtol=1e-7)


def test_the_learner_separates_what_can_be_separated():
    features, _, labels = data(9, 5)
    features = features + 6 * np.eye(5)[labels]
    learner = logistic(mlp([8], 6), ways=3)
    support = Examples(jnp.asarray(features, jnp.float32), jnp.asarray(labels))
    params = learner.init(jax.random.key(0), Task(support, support))
    head = learner.adapt(params, support, jax.random.key(1))
    outputs = learner.predict(params, head, support.inputs)
    assert head.shape == (7, 3)
    np.testing.assert_array_equal(jnp.argmax(outputs, -1), labels)


@pytest.mark.parametrize(("options", "field"), [({"ways": 1}, "ways"), ({"steps": 0}, "steps")])
def test_what_cannot_be_is_rejected_by_name(options, field):
    with pytest.raises(ConfigError, match=field):
        logistic(mlp([8], 6), **{"ways": 3, **options})
