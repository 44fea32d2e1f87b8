"""Learners by similarity: prefixes and queries, the loss over sets, and learning in seconds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError, Examples, Task
from metajax.learners import by_similarity
from metajax.nn import class_shares, similarity_network

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
EXAMPLES = Examples(
    jnp.asarray(RNG.normal(size=(2, 8, 4)), jnp.float32),
    jnp.asarray(RNG.integers(0, 3, (2, 8)), jnp.int32),
)
TASK = Task(
    jax.tree.map(lambda leaf: leaf[:, :7], EXAMPLES),
    jax.tree.map(lambda leaf: leaf[:, 7:], EXAMPLES),
)


NETWORK = similarity_network(channels=class_shares(), width=8, layers=2, heads=2, key_size=4)


def make(form):
    return by_similarity(NETWORK, 3, form=form)


@pytest.mark.parametrize("form", ["stream", "set"])
def test_a_prefix_and_queries_are_the_whole_sequence(form):
    learner = make(form)
    params = learner.meta.init(KEY, TASK)
    dense = jax.jit(learner.logits)(params, EXAMPLES, KEY)

    @jax.jit
    def answer(params, support, queries):
        return learner.meta.predict(params, learner.meta.adapt(params, support, KEY), queries)

    prefix = jax.tree.map(lambda leaf: leaf[:, :4], EXAMPLES)
    # each query is read as if it came next, whatever the others are
    found = answer(params, prefix, EXAMPLES.inputs[:, jnp.array([4, 6])])
    np.testing.assert_allclose(found[:, 0], dense[:, 4], rtol=1e-4, atol=1e-5)
    assert np.abs(np.asarray(found[:, 1] - found[:, 0])).max() > 1e-3


def test_the_loss_over_sets_is_that_of_the_queries_after_a_drawn_support():
    """For every key it is the mean over what follows some support of 1 to 7 examples."""
    learner = make("set")
    params = learner.meta.init(KEY, TASK)
    labels = jax.nn.one_hot(EXAMPLES.targets, 3)

    sets = jax.jit(NETWORK.sets)
    wanted = np.empty((2, 8))
    for number in range(1, 8):
        read = labels * (np.arange(8) < number)[None, :, None].astype(np.float32)
        logits = sets(params, EXAMPLES.inputs, read, EXAMPLES.inputs, jnp.ones((2, 3)))
        logs = jax.nn.log_softmax(logits)
        losses = -np.sum(np.asarray(logs) * np.asarray(labels), -1)
        wanted[:, number] = losses[:, number:].mean(1)
    sums = wanted[0, 1:, None] + wanted[1, None, 1:]
    loss = jax.jit(lambda key: learner.meta.loss(params, TASK, key)[0])
    for seed in range(6):
        found = float(loss(jax.random.key(seed)))
        assert np.abs(sums / 2 - found).min() < 1e-5


def test_another_form_is_rejected_by_name():
    with pytest.raises(ConfigError, match="form"):
        make("list")
