"""From an entry's learner to the algorithm that trains it."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

from metajax.core import MetaLearner, MixedTasks, Task
from metajax.systems.setup import descended


def unused(*args):
    raise AssertionError


DESCENDING = SimpleNamespace(descend=lambda learner, **options: (learner, options))
SOLVING = MetaLearner(unused, unused, unused, lambda params, task, key: (params * task.query, {}))
STEPPING = SOLVING._replace(follow=unused)


@pytest.mark.parametrize("learner", [SOLVING, STEPPING])
def test_inner_steps_are_taken_for_as_many_tasks_at_once_as_a_problem_says(learner):
    plain = SimpleNamespace(tasks=unused)
    assert descended(learner, plain, DESCENDING) == (learner, {})
    few = SimpleNamespace(tasks=unused, tasks_at_once=1)
    options = {"tasks_at_once": 1} if learner is STEPPING else {}
    assert descended(learner, few, DESCENDING) == (learner, options)


def test_a_learner_of_mixed_tasks_is_trained_on_their_mean():
    mixture = MixedTasks((unused, unused), (1, 1))
    learner, _ = descended(SOLVING, SimpleNamespace(tasks=mixture), DESCENDING)
    parts = (jnp.array([2.0]), jnp.array([4.0]))
    loss, _ = learner.loss(jnp.float32(1.0), Task(parts, parts), jax.random.key(0))
    assert loss == 3
