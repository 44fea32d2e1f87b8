"""Tasks in sequence: what a step draws, and of which task."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sequence_toys import CLASSES, EACH, SIDE, STEPS, TASKS, batch, pool, sequence

from metajax import continual
from metajax.core import ConfigError


def held_out(tasks, index):
    examples, counts = tasks.held_out_of(jnp.int32(index))
    return np.asarray(examples.inputs)[counts], np.asarray(examples.targets)[counts]


def test_permuted_tasks_hold_the_same_pixels_in_another_order():
    usual, labels = held_out(sequence(), 0)
    expected = np.asarray(pool(1, 5).images, np.float32).reshape(-1, SIDE**2) / 255
    np.testing.assert_allclose(usual, (expected - 0.5) / 0.3, rtol=1e-5)
    for index in range(1, TASKS):
        moved, same = held_out(sequence(), index)
        order = np.asarray(sequence().permutations[index])
        assert sorted(order) == list(range(SIDE**2)) and (order != np.arange(SIDE**2)).any()
        np.testing.assert_array_equal(moved, usual[:, order])
        np.testing.assert_array_equal(same, labels)


@pytest.mark.parametrize("labels", ["within_task", "of_set"])
def test_split_tasks_have_their_own_classes(labels):
    tasks = continual.split(pool(0), pool(1, 5), 2, labels)
    assert tasks.num_tasks == 2 and tasks.ways == (2 if labels == "within_task" else CLASSES)
    for index in range(2):
        drawn = tasks.draw(jax.random.key(index), jnp.int32(index), 200)
        first = 0 if labels == "within_task" else 2 * index
        assert set(np.asarray(drawn.targets)) == {first, first + 1}
        # every image drawn is one of the task's own
        own = np.asarray(tasks.train.images)[2 * index * EACH : 2 * (index + 1) * EACH]
        own = {row.tobytes() for row in own.reshape(-1, SIDE**2)}
        assert {row.tobytes() for row in np.asarray(drawn.inputs)} == own


def test_a_quarter_turn_is_that_of_numpy():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 5, 2)), jnp.float32)
    for turns in range(4):
        found = continual.turned(images, turns * np.pi / 2)
        np.testing.assert_allclose(found, np.rot90(images, turns, (1, 2)), atol=1e-5)
    # between, a round spot stays as it is; bilinear values of it are an eighth of its curvature off
    down, right = np.mgrid[-7:8, -7:8]
    squared = down**2 + right**2
    spot = np.exp(-squared / 40).astype(np.float32)
    found = continual.turned(jnp.asarray(spot[None, :, :, None]), 0.6)[0, :, :, 0]
    assert np.abs(np.asarray(found) - spot)[squared < 40].max() < 2 / 20 / 8


def test_a_sequence_of_turned_images_turns_them():
    tasks = continual.rotated(pool(0), pool(1, 5), [0.0, np.pi / 2])
    usual, _ = held_out(tasks, 0)
    moved, _ = held_out(tasks, 1)
    expected = np.rot90(usual.reshape(-1, SIDE, SIDE), 1, (1, 2)).reshape(-1, SIDE**2)
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_the_step_tells_the_task():
    for index, place in ((0, 0), (0, STEPS - 1), (1, 0), (2, STEPS - 1)):
        support = batch(index, place).support
        assert (int(support.task), int(support.place)) == (index, place)
        assert bool(support.last) == (place == STEPS - 1)
        assert set(np.asarray(support.mixed_index)) <= set(range(index + 1))
    # steps beyond the sequence stay with its last task
    beyond = batch(TASKS, 5).support
    assert (int(beyond.task), int(beyond.place)) == (TASKS - 1, STEPS + 5)


def test_mixed_examples_are_of_the_tasks_that_they_name():
    support = batch(2, 4, seed=1).support
    for row, label, index in zip(*support.mixed, support.mixed_index, strict=True):
        inputs, targets = sequence().all_of(index).examples
        same = np.asarray((inputs == row[None]).all(1))
        assert set(np.asarray(targets)[same]) == {int(label)}


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: continual.permuted(pool(0), pool(1), 0, jax.random.key(0)), "num_tasks"),
        (lambda: continual.rotated(pool(0), pool(1), []), "turns"),
        (lambda: continual.split(pool(0), pool(1), CLASSES + 1), "classes_per_task"),
        (lambda: continual.sequence_tasks(sequence(), 0, 1), "steps_per_task"),
        (lambda: continual.sequence_tasks(sequence(), 1, 0), "num"),
    ],
)
def test_what_makes_no_sequence_is_rejected_by_name(make, field):
    with pytest.raises(ConfigError) as raised:
        make()
    assert raised.value.field == field
