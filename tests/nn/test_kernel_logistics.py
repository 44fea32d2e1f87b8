"""Kernel logistic regression: scikit-learn's solution, left-out predictions, symmetries."""

import jax
import jax.numpy as jnp
import numpy as np

from metajax.nn import kernel_logistic, kernel_logistic_predict, probabilities

CLASSES = 3


def rows(number, seed=0):
    """Three overlapping clouds."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % CLASSES
    centers = rng.normal(size=(CLASSES, 4))
    return (centers[labels] + rng.normal(size=(number, 4))).astype(np.float32), labels


def fitted(x, labels, strength, steps=100, known=None):
    known = jnp.ones(len(x), bool) if known is None else known
    targets = jnp.eye(CLASSES)[jnp.asarray(labels)]
    fit = jax.jit(kernel_logistic, static_argnames="steps")
    return fit(strength * x @ x.T, targets, known, steps=steps)


def regression(x, labels, strength):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, fit_intercept=False, tol=1e-8, max_iter=2000)
    return model.fit(x, labels)


def test_a_linear_kernel_is_scikit_learns_logistic_regression():
    x, labels = rows(24)
    new, _ = rows(9, seed=1)
    strength = 0.3
    fit = fitted(x, labels, strength)
    own = strength * jnp.sum(new**2, axis=1)
    logits, variances = kernel_logistic_predict(fit, strength * new @ x.T, own)
    expected = regression(x, labels, strength).predict_proba(new)
    np.testing.assert_allclose(jax.nn.softmax(logits), expected, atol=2e-4)
    # a prediction is surer than before any row was seen
    assert jnp.all((variances > 0) & (variances < own))


def test_left_out_predictions_are_those_of_fits_without_the_row():
    x, labels = rows(24)
    strength = 0.3
    found = jax.nn.softmax(fitted(x, labels, strength).logits)
    without = [np.delete(np.arange(len(x)), row) for row in range(len(x))]
    expected = np.concatenate(
        [
            regression(x[kept], labels[kept], strength).predict_proba(x[row : row + 1])
            for row, kept in enumerate(without)
        ]
    )
    of_label = np.arange(len(x)), labels
    apart = np.abs(np.log(found[of_label]) - np.log(expected[of_label]))
    in_sample = jax.nn.softmax(strength * x @ x.T @ fitted(x, labels, strength).weights)
    gap = np.abs(np.log(in_sample[of_label]) - np.log(expected[of_label]))
    assert apart.mean() < 0.1 * gap.mean()


def test_rows_that_are_not_there_change_nothing_and_classes_permute():
    x, labels = rows(12)
    alone = fitted(x[:9], labels[:9], 0.5, 20)
    known = jnp.arange(12) < 9
    padded = fitted(np.where(np.asarray(known)[:, None], x, 1e3), labels, 0.5, 20, known)
    np.testing.assert_allclose(padded.weights[:9], alone.weights, atol=1e-5)
    np.testing.assert_allclose(padded.logits[:9], alone.logits, atol=1e-4)
    np.testing.assert_array_equal(padded.weights[9:], 0)
    turned = fitted(x[:9], (labels[:9] + 1) % CLASSES, 0.5, 20)
    np.testing.assert_allclose(jnp.roll(alone.logits, 1, axis=1), turned.logits, atol=1e-5)


def test_a_class_without_rows_is_absent():
    x, labels = rows(12)
    fit = fitted(x, labels % 2, 0.5, 20)
    np.testing.assert_array_equal(fit.logits[:, 2], 0)
    likely = probabilities(fit.logits, jnp.array([True, True, False]))
    np.testing.assert_allclose(likely.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(likely[:, 2], 0)
