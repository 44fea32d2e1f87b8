"""Losses of labels that are no class, and of outputs that are not finite."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import WAYS, classification_task, smooth
from metajax.core import ConfigError, Examples, Network, Task
from metajax.learners import cross_entropy, maml, matching, mean_squared_error, prototypical, ridge
from metajax.learners.losses import loss_and_metrics

LOGITS = jnp.array([[0.5, -1.0, 2.0], [1.0, 0.0, -1.0]])
KEY = jax.random.key(0)


def test_cross_entropy_by_hand():
    targets = np.array([2, 0])
    logits = np.asarray(LOGITS, np.float64)
    by_hand = np.mean(np.log(np.exp(logits).sum(-1)) - logits[[0, 1], targets])
    np.testing.assert_allclose(cross_entropy(LOGITS, jnp.asarray(targets)), by_hand, rtol=1e-6)
    found = jax.jit(jax.grad(cross_entropy))(LOGITS, jnp.asarray(targets))
    np.testing.assert_allclose(found, (jax.nn.softmax(LOGITS) - np.eye(3)[targets]) / 2, atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, -3, 2**31 - 1])
def test_cross_entropy_takes_no_label_for_another_class(label):
    labels = jnp.array([label, 0])
    with pytest.raises(ConfigError, match=f"targets = {label}: expected labels from 0 to 2"):
        cross_entropy(LOGITS, labels)
    loss, grads = jax.jit(jax.value_and_grad(cross_entropy))(LOGITS, labels)
    assert np.isnan(loss) and np.all(np.isnan(grads[0]))


LEARNERS = {
    "maml": lambda loss: maml(smooth(WAYS), loss, optax.sgd(0.1), steps=1),
    "prototypical": lambda loss: prototypical(smooth(4), ways=WAYS, loss=loss),
    "matching": lambda loss: matching(smooth(4), ways=WAYS, loss=loss),
    "ridge": lambda loss: ridge(smooth(4), loss, ways=WAYS),
}


@pytest.mark.parametrize("label", [-1, WAYS])
@pytest.mark.parametrize("part", ["support", "query"])
@pytest.mark.parametrize("name", list(LEARNERS))
def test_a_learner_does_not_learn_from_a_label_that_is_no_class(name, part, label):
    """In a compiled step its loss is NaN, which ``fit`` stops at; eager, the label is named."""
    learner = LEARNERS[name](cross_entropy)
    task = classification_task(dtype=jnp.float32)
    examples = getattr(task, part)
    wrong = task._replace(**{part: examples._replace(targets=examples.targets.at[1].set(label))})
    params = learner.init(KEY, task)
    loss, metrics = jax.jit(learner.loss)(params, wrong, KEY)
    assert np.isnan(loss) and np.isnan(metrics["accuracy"])
    assert np.isfinite(jax.jit(learner.loss)(params, task, KEY)[0])
    if part == "query" or name in ("prototypical", "matching", "ridge"):
        with pytest.raises(ConfigError, match=rf"targets = {label}: expected labels from 0 to 2"):
            learner.loss(params, wrong, KEY)


def test_outputs_of_nan_have_no_accuracy():
    """They are no guess at class 0, which would be right on a third of balanced labels."""
    network = Network(lambda key, x: jnp.zeros(()), lambda params, x: x @ jnp.full((2, 3), jnp.nan))
    task = classification_task(dtype=jnp.float32)
    learner = maml(network, cross_entropy, optax.sgd(0.1), steps=1)
    _, metrics = jax.jit(learner.loss)(jnp.zeros(()), task, KEY)
    assert np.isnan(metrics["accuracy"])


def test_whole_numbers_that_are_regressed_have_no_accuracy():
    """Counts are no classes; nothing is rejected, and no share of right guesses is reported."""
    counts = jnp.array([[7], [0], [1]])

    def poisson(rates, counts):
        return jnp.mean(jnp.exp(rates) - counts * rates)

    with jax.numpy_dtype_promotion("standard"):
        value, metrics = loss_and_metrics(poisson, jnp.zeros((3, 1)), counts)
    assert set(metrics) == {"query_loss"} and value == 1
    floats = Task(Examples(0, 0), Examples(jnp.zeros((3, 1)), jnp.ones((3, 1))))
    assert set(loss_and_metrics(mean_squared_error, *floats.query)[1]) == {"query_loss"}
