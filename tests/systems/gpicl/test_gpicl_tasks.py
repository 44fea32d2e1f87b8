"""GPICL's task distribution."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import noise_pool
from metajax.learners import whole_sequence
from metajax.systems.gpicl import projection_tasks, unseen
from metajax.systems.gpicl.distortions import distort
from metajax.systems.gpicl.tasks import DRAW_BITS

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def pool():
    return noise_pool(jax.random.key(0), num_classes=10, size=(4, 4))


draw = jax.jit(lambda tasks, key: tasks(key))


def sequence(tasks, key):
    return whole_sequence(draw(tasks, key))


def test_shapes_and_split(pool):
    task = draw(projection_tasks(pool, KEY, num_tasks=8, length=12, sequences=3), KEY)
    assert task.support.inputs.shape == (3, 11, 16)
    assert task.query.inputs.shape == (3, 1, 16)
    assert task.support.targets.shape == (3, 11)


def test_same_id_is_the_same_task_wherever_it_is_met(pool):
    """One id: a label is a function of the projected image, across draws and other settings."""
    tasks = projection_tasks(pool, KEY, num_tasks=1, length=40, first_task=5)
    wide = projection_tasks(pool, KEY, num_tasks=1, length=40, first_task=5, sequences=2)
    seen = {}
    for examples in (sequence(tasks, jax.random.key(1)), sequence(wide, jax.random.key(2))):
        inputs = np.asarray(examples.inputs).reshape(-1, 16).round(3)
        for image, label in zip(inputs, np.asarray(examples.targets).ravel(), strict=True):
            assert seen.setdefault(image.tobytes(), label) == label
    assert len(seen) == 10  # ten noise images, one per label
    assert sorted(seen.values()) == list(range(10))


def test_ids_are_drawn_from_the_range_given(pool):
    """Distinct projections met = num_tasks; the unseen range shares none with it."""

    def met(tasks):
        bits = jax.random.bits(jax.random.key(9), (400, DRAW_BITS), jnp.uint32)
        projections = np.asarray(jax.jit(jax.vmap(lambda b: tasks.draw(b).projection))(bits))
        return {projection.tobytes() for projection in projections}

    tasks = projection_tasks(pool, KEY, num_tasks=16, length=4)
    assert len(met(tasks)) == 16
    assert not met(tasks) & met(unseen(tasks))
    assert len(met(unseen(tasks))) == 400


def test_projection_entries_have_variance_one_over_features(pool):
    """E |Ax|^2 = |x|^2 where A_ij ~ N(0, 1 / features)."""
    tasks = projection_tasks(pool, KEY, num_tasks=2**20, length=40)
    plain = dataclasses.replace(tasks, identity=True)

    @jax.jit
    @jax.vmap
    def power_ratio(key):
        return jnp.sum(sequence(tasks, key).inputs ** 2) / jnp.sum(sequence(plain, key).inputs ** 2)

    ratios = power_ratio(jax.random.split(jax.random.key(4), 500))
    assert abs(float(ratios.mean()) - 1) < 0.05


def test_bias_fixes_the_label_order_for_that_fraction(pool):
    tasks = projection_tasks(pool, KEY, num_tasks=2**20, length=30, bias=0.75)
    plain = dataclasses.replace(tasks, identity=True)

    def unpermuted(key):
        return jnp.all(sequence(tasks, key).targets == sequence(plain, key).targets)

    share = jax.jit(jax.vmap(unpermuted))(jax.random.split(jax.random.key(5), 400)).mean()
    assert abs(float(share) - 0.75) < 3 * np.sqrt(0.75 * 0.25 / 400)


def test_ways_draw_that_many_classes(pool):
    tasks = projection_tasks(pool, KEY, num_tasks=2**20, length=60, ways=3)
    plain = dataclasses.replace(tasks, identity=True)
    rows = []
    for i in range(20):
        examples = sequence(plain, jax.random.key(i))
        assert set(np.asarray(examples.targets).ravel()) == {0, 1, 2}
        images = {row.tobytes() for row in np.asarray(examples.inputs[0])}
        assert len(images) == 3
        rows.append(frozenset(images))
    assert len(set(rows)) > 5  # not the same three every time


def test_min_ways_draws_every_number_of_ways_as_often(pool):
    """With 2 to 4 ways and 80 examples, a third of the draws meets 2, 3 and 4 labels each."""
    tasks = projection_tasks(pool, KEY, num_tasks=2**20, length=80, ways=4, min_ways=2)
    labels_of = jax.jit(jax.vmap(lambda key: sequence(tasks, key).targets[0]))
    labels = np.asarray(labels_of(jax.random.split(jax.random.key(8), 600)))
    met = np.bincount([len(np.unique(row)) for row in labels], minlength=5)
    assert met[:2].sum() == 0
    assert np.all(np.abs(met[2:] / 600 - 1 / 3) < 3 * np.sqrt(2 / 9 / 600))
    assert set(labels.ravel()) == {0, 1, 2, 3}  # few ways still use every label


def test_that_fraction_of_draws_has_images_of_another_look(pool):
    """All of a draw's images change alike, labels and projection stay; unseen tasks have none."""
    options = {"num_tasks": 8, "length": 12}
    plain = projection_tasks(pool, KEY, **options)
    some = projection_tasks(pool, KEY, **options, distorted=0.25)
    keys = jax.random.split(jax.random.key(7), 400)
    as_they_are, changed = (
        jax.jit(jax.vmap(lambda key, tasks=tasks: sequence(tasks, key)))(keys)
        for tasks in (plain, some)
    )
    np.testing.assert_array_equal(changed.targets, as_they_are.targets)
    differ = jnp.any(jnp.abs(changed.inputs - as_they_are.inputs) > 1e-3, axis=-1)[:, 0]
    each = np.asarray(jnp.mean(differ, axis=-1))
    assert set(np.unique(each)) == {0.0, 1.0}
    assert abs(each.mean() - 0.25) < 0.07
    assert unseen(some).distorted is None


def test_another_look_is_of_mean_0_and_deviation_1_and_keeps_flat_images_flat():
    images = jax.random.uniform(jax.random.key(0), (5, 6, 6, 1)).at[0].set(0.5)
    for found in jax.jit(jax.vmap(distort, (None, 0)))(images, jax.random.split(KEY, 8)):
        assert abs(float(jnp.mean(found))) < 1e-4 and abs(float(jnp.std(found)) - 1) < 0.02
        assert float(jnp.std(found[0, 1:-1, 1:-1])) < 1e-4


def test_the_curriculum_is_off_for_unseen_tasks(pool):
    tasks = unseen(projection_tasks(pool, KEY, num_tasks=4, length=80, bias=1.0, min_ways=2))
    labels_of = jax.jit(jax.vmap(lambda key: sequence(tasks, key).targets[0]))
    labels = np.asarray(labels_of(jax.random.split(jax.random.key(8), 20)))
    assert min(len(np.unique(row)) for row in labels) >= 9


def test_num_tasks_is_traced(pool):
    """Another number of tasks, range or bias runs the same program."""
    tasks = projection_tasks(pool, KEY, num_tasks=4, length=5)
    other = projection_tasks(pool, KEY, num_tasks=2**31, length=5, bias=0.5, first_task=7)
    sample = jax.jit(lambda tasks, key: tasks(key))
    sample(tasks, jax.random.key(0))
    sample(other, jax.random.key(0))
    assert sample._cache_size() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ways": 11}, "ways"),
        ({"ways": 1}, "ways"),
        ({"length": 1}, "length"),
        ({"sequences": 0}, "sequences"),
        ({"distorted": 1.5}, "distorted"),
        ({"bias": 1.5}, "bias"),
        ({"min_ways": 1}, "min_ways"),
        ({"min_ways": 11}, "min_ways"),
        ({"num_tasks": 0}, "num_tasks"),
        ({"num_tasks": 2**33}, "num_tasks"),
    ],
)
def test_impossible_sizes_are_refused_by_name(pool, changes, field):
    with pytest.raises(ConfigError) as error:
        projection_tasks(pool, KEY, **{"num_tasks": 4, "length": 5, **changes})
    assert error.value.field == field
