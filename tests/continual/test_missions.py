"""Missions of several clients: who sees which classes and which images, and in what order."""

import jax
import numpy as np
import pytest

from metajax import continual
from metajax.core import ConfigError

SIZES = np.array([5, 4, 6, 6, 3, 6, 6, 6, 6, 6, 6])
STARTS = np.concatenate([[0], np.cumsum(SIZES)])
OPTIONS = {
    "given": 2,
    "rounds": 3,
    "clients": 4,
    "new_classes": 3,
    "new_ways": 2,
    "old_ways": 2,
    "shots": 4,
}


@pytest.fixture(scope="module")
def drawn():
    """Ten draws, by one program."""
    draws = continual.mission_draws(STARTS, **OPTIONS)
    found = jax.jit(jax.vmap(draws))(jax.random.split(jax.random.key(0), 10))
    return [continual.Missions(*(np.asarray(leaf)[place] for leaf in found)) for place in range(10)]


def test_images_are_of_the_classes_that_they_count_for(drawn):
    of_image = np.repeat(np.arange(len(SIZES)), SIZES)
    for missions in drawn:
        there = missions.counted
        numbered = missions.number[of_image[missions.rows[there]]]
        np.testing.assert_array_equal(numbered, missions.labels[there])
        assert sorted(missions.number) == list(range(len(SIZES)))
        assert list(missions.number[:2]) == [0, 1]  # those known before keep theirs


def test_no_image_and_no_class_occurs_twice_within_a_mission(drawn):
    for missions in drawn:
        for place in np.ndindex(3, 4):
            there = missions.counted[place]
            rows, labels = missions.rows[place][there], missions.labels[place][there]
            assert len(set(rows)) == len(rows)
            classes, counts = np.unique(labels, return_counts=True)
            assert len(classes) == (2 if place[0] == 0 else 4)
            # up to four images of each, all of a smaller class
            sizes = SIZES[np.argsort(missions.number)][classes]
            np.testing.assert_array_equal(counts, np.minimum(sizes, 4))


def test_new_classes_come_round_by_round_and_clients_overlap(drawn):
    for missions in drawn:
        for stage in range(3):
            there, new = missions.counted[stage], missions.new[stage]
            comes = 2 + 3 * stage
            assert set(missions.labels[stage][new]) == set(range(comes, comes + 3))
            earlier = missions.labels[stage][there & ~new]
            assert stage == 0 or set(earlier) <= set(range(2, comes))
            # eight places for three classes: some class is seen by two clients or more
            seen = [len(set(missions.labels[stage, client][new[client]])) for client in range(4)]
            assert seen == [2] * 4
    orders = {tuple(missions.number) for missions in drawn}
    assert len(orders) > 5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rounds", 0),
        ("clients", 0),
        ("shots", 0),
        ("given", 11),
        ("new_classes", 4),
        ("new_ways", 4),
        ("old_ways", 10),
    ],
)
def test_what_makes_no_missions_is_rejected_by_name(field, value):
    with pytest.raises(ConfigError) as raised:
        continual.mission_draws(STARTS, **(OPTIONS | {field: value}))
    assert raised.value.field == field


def test_too_few_views_to_see_all_new_classes_are_rejected():
    with pytest.raises(ConfigError, match="new_ways = 1"):
        continual.mission_draws(STARTS, **(OPTIONS | {"clients": 2, "new_ways": 1}))
