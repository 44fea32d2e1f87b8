"""Softmax heads on fixed features: joint training knows all classes, others the last ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax import continual
from metajax.core import accuracy

STAGES, EACH, PER_CLASS = 3, 2, 20
CLASSES = STAGES * EACH


@pytest.fixture(scope="module")
def heads():
    """Features of six classes far apart, two a stage, and the heads of both kinds."""
    labels = np.repeat(np.arange(CLASSES), PER_CLASS).astype(np.int32)
    means = np.random.default_rng(0).normal(0, 3, (CLASSES, 8))
    noise = np.random.default_rng(1).normal(size=(len(labels), 8))
    features = jnp.asarray(means[labels] + noise, jnp.float32)
    labels = jnp.asarray(labels)
    known = jnp.arange(1, STAGES + 1, dtype=jnp.int32) * EACH
    counted = jnp.ones(len(labels), bool)

    def train(counted, keep):
        return continual.stage_heads(
            features,
            labels,
            labels // EACH,
            counted,
            known,
            classes=CLASSES,
            keep=keep,
            steps=60,
            examples=16,
            rate=0.1,
            key=jax.random.key(2),
        )

    train = jax.jit(train, static_argnums=1)
    return features, labels, known, {keep: train(counted, keep) for keep in (True, False)}, train


def test_joint_training_knows_all_and_the_sequential_head_forgets(heads):
    """Found: 1.00 and .76."""
    features, labels, known, found, _ = heads
    last = {
        keep: float(
            accuracy(
                continual.head_logits(
                    jax.tree.map(lambda leaf: leaf[-1], head), features, known[-1]
                ),
                labels,
            )
        )
        for keep, head in found.items()
    }
    assert last[True] > 0.97 and last[True] - last[False] > 0.15


def test_the_first_stage_is_the_same_for_both(heads):
    *_, found, _ = heads
    first = [jax.tree.map(lambda leaf: np.asarray(leaf[0]), found[keep]) for keep in (True, False)]
    np.testing.assert_array_equal(first[0]["kernel"], first[1]["kernel"])
    # classes that are to come have no weights yet
    assert (first[0]["kernel"][:, EACH:] == 0).all() and (first[0]["kernel"][:, :EACH] != 0).any()


def test_examples_that_do_not_count_are_never_drawn(heads):
    """A class without one keeps its distance: its logits only fall."""
    features, labels, known, _, train = heads
    head = jax.tree.map(lambda leaf: leaf[-1], train(labels != CLASSES - 1, True))
    predicted = continual.head_logits(head, features, known[-1]).argmax(-1)
    assert (np.asarray(predicted) != CLASSES - 1).all()
    assert float(head["bias"][CLASSES - 1]) < 0
