"""The vote of the nearest examples: a count by hand, one neighbor, sequences and their prefixes."""

import jax
import numpy as np
import pytest

from metajax.core import ConfigError, Examples
from metajax.learners import k_nearest, nearest_neighbour

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(2, 12, 3)).astype(np.float32)
EXAMPLES = Examples(INPUTS, RNG.integers(0, 3, (2, 12)).astype(np.int32))


def logits(learner):
    return np.asarray(jax.jit(lambda examples: learner.logits({}, examples, KEY))(EXAMPLES))


def by_hand(neighbors, examples, position):
    """The class of most of the nearest examples before a position; the nearest decides a tie."""
    x, y = np.asarray(examples.inputs, np.float64), np.asarray(examples.targets)
    order = np.argsort(np.sum((x[:position] - x[position]) ** 2, -1))[:neighbors]
    counts = np.bincount(y[order], minlength=3)
    best = np.flatnonzero(counts == counts.max())
    return next(label for label in y[order] if label in best)


@pytest.mark.parametrize("neighbors", [1, 3, 5])
def test_votes_are_those_counted_by_hand(neighbors):
    learner = k_nearest(3, neighbors)
    found = logits(learner).argmax(-1)
    for sequence in range(2):
        one = jax.tree.map(lambda leaf, i=sequence: leaf[i], EXAMPLES)
        wanted = [by_hand(neighbors, one, position) for position in range(1, 12)]
        np.testing.assert_array_equal(found[sequence, 1:], wanted)


def test_one_neighbor_is_the_nearest():
    others, found = (logits(learner) for learner in (nearest_neighbour(3), k_nearest(3, 1)))
    np.testing.assert_array_equal(found.argmax(-1)[:, 1:], others.argmax(-1)[:, 1:])


@pytest.mark.parametrize("length", [0, 2, 11])
def test_a_prefix_and_a_query_are_the_whole_sequence(length):
    learner = k_nearest(3, 4)
    prefix, rest = (
        jax.tree.map(lambda leaf: leaf[:, :length], EXAMPLES),
        INPUTS[:, length : length + 1],
    )

    @jax.jit
    def answer(prefix, rest):
        return learner.meta.predict({}, learner.meta.adapt({}, prefix, KEY), rest)[:, 0]

    np.testing.assert_allclose(answer(prefix, rest), logits(learner)[:, length], rtol=1e-6)


def test_no_neighbor_is_rejected_by_name():
    with pytest.raises(ConfigError, match="neighbors = 0"):
        k_nearest(3, 0)
