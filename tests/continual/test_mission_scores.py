"""What missions are measured by: closed forms of an embedding that tells all classes apart."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax import continual
from metajax.core import Network

GIVEN, ROUNDS, CLIENTS, NEW, CLASSES = 2, 2, 2, 2, 6
EACH, HELD_OUT, DRAWS = 5, 3, 2


@pytest.fixture(scope="module")
def field():
    """Images of a class are its unit vector."""
    missions = continual.mission_draws(
        np.arange(CLASSES + 1) * EACH,
        given=GIVEN,
        rounds=ROUNDS,
        clients=CLIENTS,
        new_classes=NEW,
        new_ways=1,
        old_ways=1,
        shots=3,
    )
    labels, held_out = (
        jnp.repeat(jnp.arange(CLASSES, dtype=jnp.int32), number) for number in (EACH, HELD_OUT)
    )
    eye = jnp.eye(CLASSES)
    return continual.MissionField(eye[labels], labels, eye[held_out], held_out, missions)


AS_THEY_ARE = Network(lambda key, images: {}, lambda params, images: images)
BLIND = Network(lambda key, images: {}, lambda params, images: jnp.zeros_like(images))


@pytest.fixture(scope="module")
def found(field):
    score = jax.jit(continual.score_missions, static_argnames=("embedding", "num", "steps"))
    return score(AS_THEY_ARE, {}, field, jax.random.key(0), DRAWS, steps=60, rate=0.5)


def test_features_that_tell_classes_apart_know_all_that_have_come(found):
    for groups in (found.merged, found.clients):
        for values in groups:
            assert np.all(np.isnan(values) | (np.asarray(values) == 1))
    # before the missions there are neither new classes nor earlier ones
    assert np.isnan(found.merged.new[:, 0]).all() and np.isnan(found.merged.earlier[:, 1]).all()
    assert not np.isnan(found.merged.new[:, 1:]).any()
    assert found.merged.known.shape == (DRAWS, ROUNDS + 1)
    assert found.clients.known.shape == (DRAWS, ROUNDS)


def test_a_head_of_all_examples_learns_them_and_one_of_each_round_forgets(found):
    assert np.all(np.asarray(found.joint_head) == 1)
    assert np.all(np.asarray(found.sequential_head[:, 0]) == 1)
    assert np.mean(found.sequential_head[:, -1]) < 1


def test_sums_are_those_of_all_examples_and_are_few(found):
    assert np.all(np.asarray(found.central_difference) < 1e-6)
    # a new class in each mission, and from the second round one of an earlier
    np.testing.assert_array_equal(found.classes_sent, [CLIENTS * (1 + 2)] * DRAWS)
    np.testing.assert_array_equal(found.examples, 3 * np.asarray(found.classes_sent))


def test_the_merged_prototypes_alone_are_the_same(field, found):
    alone = continual.score_merged(AS_THEY_ARE, {}, field, jax.random.key(0), DRAWS)
    jax.tree.map(np.testing.assert_array_equal, alone, found.merged)


def test_features_that_tell_nothing_guess(field):
    """All prototypes are the same, and the first class is chosen."""
    known = continual.score_merged(BLIND, {}, field, jax.random.key(0), DRAWS).known
    np.testing.assert_allclose(known, [[1 / 2, 1 / 4, 1 / 6]] * DRAWS, rtol=1e-6)


def test_accuracies_by_group_count_the_examples_of_each():
    logits = jax.nn.one_hot(jnp.array([0, 1, 2, 2, 4, 0]), 5)
    labels = jnp.array([0, 0, 2, 3, 4, 4], jnp.int32)
    found = continual.class_groups(logits, labels, labels == 4, 2, jnp.int32(4))
    np.testing.assert_allclose(found, [3 / 6, 1 / 2, 1 / 2, 1 / 2])
