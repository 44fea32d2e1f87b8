"""Kernel ridge of prefixes and sets: separate solves in float64, derivatives, mapped batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import enable_x64
from metajax.nn import causal_ridge, set_ridge

RNG = np.random.default_rng(0)
N, RIDGE = 11, 0.2
X, Q = RNG.normal(size=(N, 4)), RNG.normal(size=(5, 4))
Y = np.eye(3)[RNG.integers(0, 3, N)]


def kernel(a, b):
    return np.exp(-0.3 * np.sum((a[:, None] - b[None]) ** 2, -1))


def solved(known, targets, asked):
    """A prediction and its variance by a solve of its own."""
    gram = kernel(known, known) + RIDGE * np.eye(len(known))
    cross = kernel(asked[None], known)[0]
    weights = np.linalg.solve(gram, np.stack([*targets.T, cross], -1))
    return cross @ weights[:, :-1], 1 + RIDGE - cross @ weights[:, -1]


def test_prefix_predictions_are_those_of_separate_solves():
    with enable_x64(True):
        found = jax.jit(causal_ridge)(kernel(X, X), Y, RIDGE)
    for place in range(N):
        mean, variance = solved(X[:place], Y[:place], X[place])
        np.testing.assert_allclose(found.mean[place], mean, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.variance[place], variance, rtol=0, atol=1e-10)


@pytest.mark.parametrize("known", [N, 7, 1, 0])
def test_sets_predict_queries_and_each_example_from_the_others(known):
    with enable_x64(True):
        there = np.arange(N) < known
        prior = np.ones(len(Q))
        found = jax.jit(set_ridge)(kernel(X, X), kernel(Q, X), prior, Y, RIDGE, there)
    for place, asked in enumerate(Q):
        mean, variance = solved(X[:known], Y[:known], asked)
        np.testing.assert_allclose(found.new.mean[place], mean, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.new.variance[place], variance, rtol=0, atol=1e-10)
    for place in range(known):
        others = [other for other in range(known) if other != place]
        mean, variance = solved(X[others], Y[others], X[place])
        np.testing.assert_allclose(found.own.mean[place], mean, rtol=0, atol=1e-10)
        np.testing.assert_allclose(found.own.variance[place], variance, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.own.mean[known:], 0, atol=1e-12)


def test_derivatives_of_a_kernel_and_a_ridge_are_those_of_differences():
    squares = np.sum((X[:, None] - X[None]) ** 2, -1)

    def loss(log_gamma, log_ridge):
        found = causal_ridge(jnp.exp(-jnp.exp(log_gamma) * squares), Y, jnp.exp(log_ridge))
        return jnp.sum((found.mean - Y) ** 2) + jnp.sum(found.variance)

    with enable_x64(True):
        at, step = (jnp.float64(-1.0), jnp.float64(-2.0)), 1e-5
        grads = jax.jit(jax.grad(loss, (0, 1)))(*at)
        function = jax.jit(loss)
        along = [
            (function(at[0] + a, at[1] + b) - function(at[0] - a, at[1] - b)) / (2 * step)
            for a, b in ((step, 0.0), (0.0, step))
        ]
    np.testing.assert_allclose(grads, along, rtol=1e-6)


def test_mapped_sequences_are_solved_as_each_alone():
    kernels = np.stack([kernel(X, X), kernel(2 * X, 2 * X)]).astype(np.float32)
    targets = np.stack([Y, Y[::-1]]).astype(np.float32)
    ridges = np.float32([0.1, 0.3])
    solve = jax.jit(causal_ridge)
    together = solve(kernels, targets, ridges)
    mapped = jax.jit(jax.vmap(causal_ridge))(kernels, targets, ridges)
    for place in range(2):
        alone = solve(kernels[place], targets[place], ridges[place])
        for many in (together, mapped):
            np.testing.assert_allclose(many.mean[place], alone.mean, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(many.variance[place], alone.variance, rtol=1e-5)
