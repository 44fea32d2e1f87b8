"""The support vector machine: the optimum that scikit-learn finds, differentiated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.svm import LinearSVC

from metajax.core import ConfigError, Examples, Task, enable_x64
from metajax.learners import svm, svm_weights
from metajax.nn import mlp

COST = 0.2


def data(n, d, k=3):
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    return rng.normal(size=(n, d)) + rng.normal(size=(k, d))[labels], labels


solve = jax.jit(svm_weights, static_argnames=("cost", "most_steps"))


def weights(features, labels, steps=5000):
    with enable_x64(True):
        targets = jnp.asarray(np.eye(labels.max() + 1)[labels])
        return np.asarray(solve(jnp.asarray(features @ features.T), targets, COST, steps))


@pytest.mark.parametrize(("n", "d"), [(9, 20), (60, 5)], ids=["separable", "overlapping"])
def test_the_optimum_meets_the_conditions_and_is_that_of_scikit_learn(n, d):
    features, labels = data(n, d)
    found = weights(features, labels)
    most = COST * np.eye(3)[labels]
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-12)
    assert (found <= most + 1e-12).all()
    # of a row's classes, those below their bound share the least slope, and no other is lower
    slope = features @ (features.T @ found) - np.eye(3)[labels]
    free = found < most - 1e-9
    for row, inside in zip(slope, free, strict=True):
        np.testing.assert_allclose(row[inside], row.max(), atol=1e-8)
    assert 0 < free[np.arange(n), labels].sum() <= n
    machine = LinearSVC(
        multi_class="crammer_singer", fit_intercept=False, C=COST, tol=1e-10, max_iter=10**6
    )
    expected = machine.fit(features, labels).coef_
    np.testing.assert_allclose(found.T @ features, expected, atol=1e-6)


@pytest.mark.parametrize(("n", "d"), [(9, 20), (30, 5)], ids=["separable", "overlapping"])
def test_the_derivative_is_that_of_the_optimum(n, d):
    features, labels = data(n, d)
    with enable_x64(True):
        draw = np.random.default_rng(1)
        direction, value = (jnp.asarray(draw.normal(size=s)) for s in ((n, d), (d, 3)))
        targets = jnp.asarray(np.eye(3)[labels])

        @jax.jit
        def along(t):
            x = jnp.asarray(features) + t * direction
            head = x.T @ svm_weights(x @ x.T, targets, COST, 20_000)
            return jnp.sum(jnp.tanh(value * head))

        slope = jax.grad(along)(jnp.float64(0.0))
        measured = (along(1e-6) - along(-1e-6)) / 2e-6
    np.testing.assert_allclose(slope, measured, rtol=1e-5)


def test_float32_ends_near_float64():
    """Also where features are long, and weights far below their bound."""
    features, labels = data(10, 400)
    exact = features.T @ weights(features, labels)
    x, targets = jnp.asarray(features, jnp.float32), jnp.eye(3)[labels]
    found = x.T @ solve(x @ x.T, targets, COST, 1000)
    np.testing.assert_allclose(found, exact, atol=1e-4 * np.abs(exact).max())


def test_the_learner_separates_what_can_be_separated():
    features, labels = data(9, 5)
    features = features + 6 * np.eye(5)[labels]
    learner = svm(mlp([8], 6), ways=3)
    support = Examples(jnp.asarray(features, jnp.float32), jnp.asarray(labels))
    params = learner.init(jax.random.key(0), Task(support, support))
    head = jax.jit(learner.adapt)(params, support, jax.random.key(1))
    outputs = learner.predict(params, head, support.inputs)
    assert head.shape == (6, 3)
    np.testing.assert_array_equal(jnp.argmax(outputs, -1), labels)


@pytest.mark.parametrize(
    ("options", "field"),
    [({"ways": 1}, "ways"), ({"most_steps": 0}, "steps"), ({"cost": 0}, "cost")],
)
def test_what_cannot_be_is_rejected_by_name(options, field):
    with pytest.raises(ConfigError, match=field):
        svm(mlp([8], 6), **{"ways": 3, **options})
