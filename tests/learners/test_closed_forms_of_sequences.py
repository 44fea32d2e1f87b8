"""Untrained classifiers of sequences: each equals a solve, a fit or a count of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.special
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from metajax.core import Examples, Task
from metajax.learners import (
    center_scores,
    class_centers,
    class_means,
    discriminant,
    kernel_ridge,
    logistic_regression,
)

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LENGTH, FEATURES, CLASSES = 14, 4, 3
LABELS = RNG.integers(0, CLASSES, (2, LENGTH))
INPUTS = RNG.normal(size=(2, LENGTH, FEATURES)) + LABELS[..., None]
EXAMPLES = Examples(jnp.asarray(INPUTS, jnp.float32), jnp.asarray(LABELS, jnp.int32))
MAKERS = {
    "class_means": lambda: class_means(CLASSES),
    "gaussian": lambda: kernel_ridge(CLASSES, gamma=0.7, ridge=0.1),
    "linear": lambda: kernel_ridge(CLASSES, gamma=None, ridge=0.3),
    "discriminant": lambda: discriminant(CLASSES, shrinkage=0.2),
    "logistic": lambda: logistic_regression(CLASSES, strength=0.5, steps=40),
}


class Read:
    """A learner's settings and logits, compiled once."""

    def __init__(self, name):
        self.learner = MAKERS[name]()
        support, query = (
            jax.tree.map(lambda leaf, at=at: leaf[:, at], EXAMPLES)
            for at in (slice(0, -1), slice(-1, None))
        )
        self.params = self.learner.meta.init(KEY, Task(support, query))
        self.logits = np.asarray(jax.jit(self.learner.logits)(self.params, EXAMPLES, KEY))


@pytest.fixture(scope="module")
def read():
    found = {}

    def of(name):
        if name not in found:
            found[name] = Read(name)
        return found[name]

    return of


def prefixes(first=1):
    """Each sequence's examples before a position, and the input there."""
    for sequence in range(2):
        for place in range(first, LENGTH):
            x, y = INPUTS[sequence], LABELS[sequence]
            yield (sequence, place), x[:place], y[:place], x[place]


def test_the_nearest_mean_is_that_of_a_loop(read):
    logits = read("class_means").logits
    for at, x, y, query in prefixes():
        means = {label: x[y == label].mean(0) for label in set(y)}
        wanted = min(means, key=lambda label: np.sum((query - means[label]) ** 2))
        assert logits[at].argmax() == wanted


@pytest.mark.parametrize("name", ["gaussian", "linear"])
def test_kernel_ridges_are_those_of_separate_solves(name, read):
    logits = read(name).logits
    for at, x, y, query in prefixes():
        scale = np.mean(np.sum(INPUTS[at[0]][: min(at[1] + 1, 10)] ** 2, -1))
        both = np.concatenate([x, query[None]]) / np.sqrt(scale)
        squares = np.sum((both[:, None] - both[None]) ** 2, -1)
        kernel = np.exp(-0.7 * squares) if name == "gaussian" else 1 + both @ both.T
        ridge = 0.1 if name == "gaussian" else 0.3
        weights = np.linalg.solve(kernel[:-1, :-1] + ridge * np.eye(len(x)), np.eye(CLASSES)[y])
        np.testing.assert_allclose(logits[at], kernel[-1, :-1] @ weights, rtol=1e-3, atol=1e-4)


def test_discriminants_have_the_probabilities_of_scikit_learn(read):
    logits = read("discriminant").logits
    for at, x, y, query in prefixes(first=6):
        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2).fit(x, y)
        wanted = np.zeros(CLASSES)
        wanted[fitted.classes_] = fitted.predict_proba(query[None])[0]
        np.testing.assert_allclose(scipy.special.softmax(logits[at]), wanted, atol=2e-3)


def test_logistic_regressions_come_to_the_minimum(read):
    logits = read("logistic").logits
    for sequence in range(2):
        x, y = INPUTS[sequence], LABELS[sequence]
        squares = [np.mean(x[: min(place + 1, 10)] ** 2) for place in range(LENGTH)]
        rows = np.concatenate([x / np.sqrt(squares)[:, None], np.ones((LENGTH, 1))], -1)

        def loss(flat, rows=rows, y=y):
            weights = flat.reshape(-1, CLASSES)
            known = rows[:-1] @ weights
            logs = scipy.special.log_softmax(known, axis=-1)
            return -logs[np.arange(LENGTH - 1), y[:-1]].sum() + 0.25 * np.sum(flat**2)

        found = scipy.optimize.minimize(loss, np.zeros(rows.shape[1] * CLASSES)).x
        wanted = rows[-1] @ found.reshape(-1, CLASSES)
        np.testing.assert_allclose(logits[sequence, -1], wanted, atol=2e-2)


@pytest.mark.parametrize("name", ["class_means", "gaussian", "discriminant", "logistic"])
def test_a_prefix_and_a_query_are_the_whole_sequence(name, read):
    made = read(name)

    @jax.jit
    def answer(params, support, query):
        return made.learner.meta.predict(
            params, made.learner.meta.adapt(params, support, KEY), query
        )

    prefix = jax.tree.map(lambda leaf: leaf[:, :5], EXAMPLES)
    found = answer(made.params, prefix, EXAMPLES.inputs[:, 5:6])[:, 0]
    np.testing.assert_allclose(found, made.logits[:, 5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", MAKERS)
def test_before_any_example_all_classes_are_alike(name, read):
    first = read(name).logits[:, 0]
    np.testing.assert_array_equal(first, np.repeat(first[:, :1], CLASSES, 1))


def test_centers_are_class_means_and_scores_order_them_by_distance():
    centers = class_centers(EXAMPLES.inputs[0], EXAMPLES.targets[0], CLASSES)
    means = [INPUTS[0][LABELS[0] == label].mean(0) for label in range(CLASSES)]
    np.testing.assert_allclose(centers, means, rtol=1e-5)
    apart = ((INPUTS[1][:, None] - np.array(means)) ** 2).sum(-1)
    scores = np.asarray(center_scores(EXAMPLES.inputs[1], centers))
    gaps = scores - scores[:, :1] + (apart - apart[:, :1]) / 2
    np.testing.assert_allclose(gaps, 0, atol=1e-4)
