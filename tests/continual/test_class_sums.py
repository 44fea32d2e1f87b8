"""Sums and counts by class: any partition of examples gives what all of them give at one place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from metajax import continual
from metajax.core import ConfigError, Examples, enable_x64
from metajax.learners import prototypical
from metajax.systems.parts import PIXELS

CLASSES, SIZE, EXAMPLES, CLIENTS = 5, 3, 48, 8


def examples(seed=0, whole=False):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(EXAMPLES, SIZE))
    if whole:
        features = np.round(1000 * features)
    labels = draw.integers(0, CLASSES - 1, EXAMPLES)  # the last class has no example
    return features, labels.astype(np.int32)


@jax.jit
def central(features, labels, counted=True):
    known = continual.no_sums(CLASSES, SIZE)
    return continual.observe(known, features, labels, jnp.broadcast_to(counted, labels.shape))


def split_among(features, labels, seed):
    """What clients saw of examples that are dealt at random, one of them nothing."""
    owner = np.random.default_rng(seed).integers(0, CLIENTS - 1, EXAMPLES)
    return [central(features, labels, jnp.asarray(owner == client)) for client in range(CLIENTS)]


@pytest.mark.parametrize("seed", range(3))
def test_any_partition_and_order_is_the_central_result(seed):
    """Counts exactly; sums to rounding, and exactly in float64 of whole numbers."""
    features, labels = examples(seed)
    parts = split_among(jnp.asarray(features, jnp.float32), jnp.asarray(labels), seed)
    whole = central(jnp.asarray(features, jnp.float32), jnp.asarray(labels))
    order = np.random.default_rng(seed).permutation(CLIENTS)
    found = parts[order[0]]
    for client in order[1:]:
        found = continual.merge(found, parts[client])
    np.testing.assert_array_equal(found.counts, whole.counts)
    np.testing.assert_allclose(found.sums, whole.sums, rtol=1e-6, atol=1e-5)
    with enable_x64(True):
        features, labels = map(jnp.asarray, examples(seed, whole=True))
        parts = split_among(features, labels, seed)
        whole = central(features, labels)
        # in pairs, and pairs of pairs: another grouping
        while len(parts) > 1:
            parts = [
                continual.merge(*parts[place : place + 2]) for place in range(0, len(parts), 2)
            ]
        assert whole.sums.dtype == jnp.float64
        np.testing.assert_array_equal(parts[0].sums, whole.sums)
        np.testing.assert_array_equal(continual.prototypes(parts[0]), continual.prototypes(whole))


def test_merging_with_nothing_changes_nothing():
    features, labels = examples()
    whole = central(jnp.asarray(features, jnp.float32), jnp.asarray(labels))
    same = continual.merge(whole, continual.no_sums(CLASSES, SIZE))
    np.testing.assert_array_equal(same.sums, whole.sums)
    np.testing.assert_array_equal(same.counts, whole.counts)


def test_clients_on_eight_devices_are_summed_by_psum():
    features, labels = examples(whole=True)
    features, labels = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    mesh = jax.make_mesh((CLIENTS,), ("clients",), axis_types=(jax.sharding.AxisType.Auto,))
    split = PartitionSpec("clients")

    @jax.jit
    def merged(features, labels):
        def client(features, labels):
            return jax.lax.psum(central(features, labels), "clients")

        whole = PartitionSpec()
        return jax.shard_map(client, mesh=mesh, in_specs=(split, split), out_specs=whole)(
            features, labels
        )

    found, expected = merged(features, labels), central(features, labels)
    np.testing.assert_array_equal(found.counts, expected.counts)
    np.testing.assert_array_equal(found.sums, expected.sums)
    # and under vmap, as many clients of one device
    each = (leaf.reshape(CLIENTS, -1, *leaf.shape[1:]) for leaf in (features, labels))
    stacked = continual.merge_clients(jax.vmap(central)(*each))
    np.testing.assert_array_equal(stacked.sums, expected.sums)
    np.testing.assert_array_equal(stacked.counts, expected.counts)


def test_a_new_class_leaves_others_unchanged_to_the_bit():
    features, labels = examples()
    known = central(jnp.asarray(features, jnp.float32), jnp.asarray(labels))
    for value in (1.7, np.nan):  # not even what is not finite reaches another class
        more = jnp.full((4, SIZE), value, jnp.float32)
        later = continual.observe(known, more, jnp.full(4, CLASSES - 1))
        before, after = (np.asarray(continual.prototypes(each)) for each in (known, later))
        np.testing.assert_array_equal(before[:-1], after[:-1])
        np.testing.assert_array_equal(after[-1], np.full(SIZE, value, np.float32))


def test_a_class_seen_before_during_and_by_two_clients_counts_every_example_once():
    features, labels = examples()
    features, labels = jnp.asarray(features, jnp.float32), jnp.zeros(EXAMPLES, jnp.int32)
    place = jnp.arange(EXAMPLES)
    server, *missions = (
        central(features, labels, (place >= start) & (place < end))
        for start, end in ((0, 10), (10, 15), (15, EXAMPLES))
    )
    merged = server
    for mission in missions:
        merged = continual.merge(merged, mission)
    assert int(merged.counts[0]) == EXAMPLES
    mean = features.mean(0)
    np.testing.assert_allclose(continual.prototypes(merged)[0], mean, rtol=1e-5, atol=1e-6)
    # the running mean of arXiv 2109.00150, one client after the other, is the same
    running, count = features[:10].mean(0), 10
    for start, end in ((10, 15), (15, EXAMPLES)):
        share = (end - start) / (count + end - start)
        running = running + share * (features[start:end].mean(0) - running)
        count += end - start
    np.testing.assert_allclose(running, mean, rtol=1e-4, atol=1e-6)
    # what the client was told before its mission must not be sent back
    told = [continual.merge(server, mission) for mission in missions]
    twice = continual.merge(server, continual.merge(*told))
    assert int(twice.counts[0]) == EXAMPLES + 20


def test_classification_is_that_of_prototypical_networks():
    features, labels = examples()
    features, labels = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    learner = prototypical(PIXELS, ways=CLASSES)
    adapted = learner.adapt({}, Examples(features, labels), jax.random.key(0))
    expected = learner.predict({}, adapted, features)
    found = continual.prototype_logits(central(features, labels), features)
    np.testing.assert_allclose(found[:, :-1], expected[:, :-1], rtol=1e-4, atol=1e-5)
    # a class without examples is ruled out, where the learner has a prototype of zeros for it
    assert (np.asarray(found)[:, -1] < -1e29).all()


def test_examples_that_do_not_count_are_not_there():
    features, labels = examples()
    features, labels = jnp.asarray(features, jnp.float32), jnp.asarray(labels)
    counted = jnp.arange(EXAMPLES) % 3 > 0
    found = central(features, labels, counted)
    # whatever they are
    other = central(
        jnp.where(counted[:, None], features, np.nan), jnp.where(counted, labels, 0), counted
    )
    np.testing.assert_array_equal(found.sums, other.sums)
    members = np.asarray(labels)[None] == np.arange(CLASSES)[:, None]
    members = (members & np.asarray(counted)[None]).astype(float)
    np.testing.assert_array_equal(found.counts, members.sum(1))
    np.testing.assert_allclose(found.sums, members @ np.asarray(features), rtol=1e-5, atol=1e-5)


def test_a_client_sends_a_sum_and_a_count_for_each_class():
    one = jax.tree.map(lambda leaf: leaf[0], central(*map(jnp.asarray, examples(whole=True))))
    assert sum(leaf.size for leaf in one) == SIZE + 1
    assert continual.sent_bytes(1, SIZE) == 4 * (SIZE + 1)
    assert continual.sent_bytes(7, SIZE) == 7 * continual.sent_bytes(1, SIZE)


def test_what_is_no_class_is_rejected_by_name():
    known = continual.no_sums(CLASSES, SIZE)
    with pytest.raises(ConfigError, match="targets = 5"):
        continual.observe(known, jnp.zeros((2, SIZE)), jnp.array([0, CLASSES]))
    with pytest.raises(ConfigError, match="classes = 0"):
        continual.no_sums(0, SIZE)
