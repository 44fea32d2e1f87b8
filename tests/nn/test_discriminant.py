"""Discriminants of prefixes and sets: distances of separate solves in the space of features."""

import jax
import numpy as np

from metajax.core import enable_x64
from metajax.nn import (
    causal_discriminant,
    causal_shrunk_discriminant,
    inner_products,
    set_discriminant,
)

RNG = np.random.default_rng(0)
N, CLASSES, RIDGE, PRIOR = 12, 4, 0.7, 0.5
X, Q = RNG.normal(size=(N, 6)), RNG.normal(size=(5, 6))
LABELS = RNG.integers(0, 3, N)  # of the last class there is none
Y = np.eye(CLASSES)[LABELS]


def distances(known, labels, asked, ridge_of=None):
    """Squared distances from the means in the metric of the scatter, by features.

    The ridge may be a function of the scatter's trace.
    """
    counts = np.bincount(labels, minlength=CLASSES)
    sums = np.stack([known[labels == label].sum(0) for label in range(CLASSES)])
    means = sums / (counts + PRIOR)[:, None]
    away = known - means[labels]
    scatter = away.T @ away + PRIOR * means.T @ means
    ridge = RIDGE if ridge_of is None else ridge_of(np.trace(scatter))
    scatter += ridge * np.eye(known.shape[1])
    aside = asked - means
    return np.sum(aside * np.linalg.solve(scatter, aside.T).T, -1)


def of_set(x, q, labels, ridge):
    return set_discriminant(inner_products(x, x), inner_products(q, x), labels, ridge, PRIOR)


def test_distances_after_every_prefix_are_those_of_separate_solves():
    with enable_x64(True):
        found = jax.jit(causal_discriminant)(X @ X.T, Y, RIDGE, PRIOR)
    wanted = [distances(X[:place], LABELS[:place], X[place]) for place in range(N)]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_a_ridge_for_every_prefix_is_that_of_separate_solves():
    inputs, labels = RNG.normal(size=(40, 6)), RNG.integers(0, 3, 40)

    def ridge_of(trace):
        return 0.05 * trace + 0.1

    with enable_x64(True):
        found = jax.jit(lambda gram, y: causal_shrunk_discriminant(gram, y, ridge_of, PRIOR))(
            inputs @ inputs.T, np.eye(CLASSES)[labels]
        )
    wanted = [
        distances(inputs[:place], labels[:place], inputs[place], ridge_of) for place in range(40)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


def test_sets_leave_each_example_out_of_its_own_distances():
    known = 10
    with enable_x64(True):
        found = jax.jit(of_set)(X, Q, Y * (np.arange(N) < known)[:, None], RIDGE)
    wanted = [distances(X[:known], LABELS[:known], asked) for asked in Q]
    np.testing.assert_allclose(found.new, wanted, rtol=1e-9)
    for place in range(known):
        others = np.delete(np.arange(known), place)
        wanted = distances(X[others], LABELS[others], X[place])
        np.testing.assert_allclose(found.own[place], wanted, rtol=1e-8)
