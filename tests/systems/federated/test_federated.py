"""Missions of several clients: what is held out, and what the measured figures are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metajax import continual
from metajax.core import ConfigError
from metajax.data import ImageSet
from metajax.systems import build, configure
from metajax.systems.federated.evaluate import EVAL_KEY
from metajax.systems.federated.problem import joined, ranked, taken
from small import fit_setup, tiny


@pytest.fixture(scope="module")
def run():
    """The tiny problem, a network as first drawn, and its evaluation."""
    setup = build(tiny("federated", "random_embedding"))
    task = jax.jit(lambda key: setup.example_tasks(key))(jax.random.key(0))
    params = jax.jit(setup.method.learner.init)(jax.random.key(1), task)
    return setup, params, setup.evaluate(params, False)


def test_images_that_are_held_out_are_in_no_mission_and_no_episode():
    def classes(number, first):
        labels = np.arange(60, dtype=np.int32) % number
        images = np.broadcast_to(np.arange(first, first + 60)[:, None, None, None], (60, 2, 2, 1))
        return ImageSet(images, labels, number, "mine", "all")

    base, others = (ranked(classes(*each), 4) for each in ((6, 0), (5, 60)))
    both = joined(base, others, 2)
    parts = taken(base, 4, None), taken(both, 4, 4 + 3), taken(both, 0, 4)
    episodes, missions, held_out = (set(part.images[:, 0, 0, 0]) for part in parts)
    assert (len(episodes), len(missions), len(held_out)) == (60 - 6 * 4, 7 * 3, 7 * 4)
    assert not held_out & (missions | episodes)
    # the first two classes are base classes, in the same order
    for part in parts[1:]:
        assert set(np.unique(part.labels)) == set(range(7))
        values = part.images[:, 0, 0, 0]
        np.testing.assert_array_equal(
            part.labels, np.where(values < 60, values % 6, 2 + (values - 60) % 5)
        )


def test_the_accuracy_is_that_of_means_of_all_examples(run):
    """The server's, from the drawn missions alone, by numpy."""
    setup, params, evaluation = run
    field, of = setup.problem.field, setup.problem.settings
    apply = jax.jit(setup.method.parts.apply)
    features, held_out = (
        np.asarray(apply(params, images), float) for images in (field.images, field.held_out)
    )
    draws = jax.jit(lambda missions, key: missions(key))
    keys = jax.random.split(jax.random.key(EVAL_KEY), of.eval_draws)
    right = np.zeros((of.eval_draws, of.missions + 1))
    for draw, key in enumerate(keys):
        missions = jax.tree.map(np.asarray, draws(field.missions, key))
        targets = missions.number[np.asarray(field.held_out_labels)]
        for stage in range(of.missions + 1):
            base = np.asarray(field.labels) < of.base_ways
            there = missions.counted[:stage]
            rows = np.concatenate([np.flatnonzero(base), missions.rows[:stage][there]])
            labels = np.concatenate(
                [np.asarray(field.labels)[base], missions.labels[:stage][there]]
            )
            known = of.base_ways + stage * of.new_classes
            means = np.stack([features[rows[labels == c]].mean(0) for c in range(known)])
            asked = targets < known
            apart = ((held_out[asked, None] - means[None]) ** 2).sum(-1)
            right[draw, stage] = np.mean(apart.argmin(1) == targets[asked])
    np.testing.assert_allclose(evaluation["rows"]["merged"]["mean"], right.mean(0), atol=0.01)
    assert evaluation["points"] == [2.0, 4.0, 6.0]


def test_merged_prototypes_are_the_central_ones(run):
    assert 0 <= run[2]["more"]["central_difference"] < 1e-6


def test_clients_send_sums_of_the_classes_that_they_saw(run):
    """Two clients: one new class each, and from the second mission one of an earlier."""
    evaluation = run[2]
    numbers = evaluation["more"]["numbers_a_class"]
    assert numbers == 4 * 4 * 4 + 1  # one block of four filters leaves 4 x 4 pixels
    sent = evaluation["more"]["bytes"]
    assert sent["sums"] == 4 * numbers * (2 + 2 * 2)
    assert sent["features"] == 3 * sent["sums"]  # three examples of a class


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("ways", {"ways": 21}),
        ("base_ways", {"base_ways": 21}),
        ("new_classes", {"new_classes": 5}),
        ("new_ways", {"clients": 1}),
        ("old_ways", {"old_ways": 21}),
        ("layers", {"layers": 4}),
    ],
)
def test_settings_that_do_not_fit_together_are_rejected_by_name(field, values):
    with pytest.raises(ConfigError) as raised:
        configure("federated", **values)
    assert raised.value.field == field


def test_more_held_out_images_than_a_class_has_are_rejected():
    with pytest.raises(ConfigError, match="held_out = 500"):
        build(tiny("federated", held_out=500))


@pytest.mark.slow
def test_an_embedding_that_is_trained_by_episodes_knows_new_classes_better():
    """Than as first drawn: by 3 points with 200 steps at seed 0, as over five seeds with 500."""

    setup = build(configure("federated", steps=200))
    found = fit_setup(setup)
    drawn = setup.method.learner.init(jax.random.key(0), setup.example_tasks(jax.random.key(0)))
    known = [
        float(
            jnp.mean(
                continual.score_merged(
                    setup.method.parts, params, setup.problem.field, jax.random.key(EVAL_KEY), 4
                ).known[:, -1]
            )
        )
        for params in (found.params, drawn)
    ]
    assert known[0] > known[1] + 0.02
