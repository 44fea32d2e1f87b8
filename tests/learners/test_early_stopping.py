"""Snapshots of a training, and which one held-out examples choose."""

import jax
import jax.numpy as jnp
import pytest

from metajax.core import Algorithm, ConfigError
from metajax.learners import snapshot_steps, stopped_early, with_snapshots

COUNTING = Algorithm(
    lambda key, task: jnp.zeros(2),
    lambda state, tasks, key, axis_name=None: (state + 1, {}),
    lambda state: {"x": state},
)


def run(steps, at):
    algorithm = with_snapshots(COUNTING, at)
    state = algorithm.init(jax.random.key(0), None)
    update = jax.jit(algorithm.update)
    for _ in range(steps):
        state, _ = update(state, None, jax.random.key(0))
    return algorithm.params(state)


def test_snapshots_are_the_parameters_after_their_steps():
    found = run(4, [1, 3, 5])
    assert found.last["x"].tolist() == [4, 4]
    assert found.kept["x"][:2].tolist() == [[1, 1], [3, 3]]
    assert found.taken.tolist() == [True, True, False]


@pytest.mark.parametrize(("steps", "number"), [(1, 5), (7, 12), (600, 12)])
def test_snapshots_end_with_the_training_and_are_no_more_than_asked_for(steps, number):
    found = snapshot_steps(steps, number)
    with_snapshots(COUNTING, found)  # steps that ascend from 1 or more
    assert found[-1] == steps and len(found) <= number


def test_the_best_snapshot_so_far_is_chosen():
    def best_at(goal):
        return lambda params: -jnp.abs(params["x"][0] - goal)

    found = run(4, [1, 3, 5])
    for goal, expected in ((0.0, 1), (2.0, 1), (2.5, 3), (5.0, 3)):
        params, which = stopped_early(found, best_at(goal))
        assert params["x"].tolist() == [expected, expected]
        assert int(which) == (expected == 3)
    params, _ = stopped_early(run(2, [3]), best_at(0.0))
    assert params["x"].tolist() == [2, 2]  # none is taken yet


@pytest.mark.parametrize("at", [[], [0, 1], [2, 1], [1, 1]])
def test_steps_that_do_not_ascend_are_rejected(at):
    with pytest.raises(ConfigError) as raised:
        with_snapshots(COUNTING, at)
    assert raised.value.field == "steps"
