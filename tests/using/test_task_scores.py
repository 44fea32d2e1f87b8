"""A learner's loss on tasks is its own loss, task by task."""

import jax
import numpy as np
import pytest

import metajax as mj
from metajax import using
from metajax.data import sinusoid_tasks
from metajax.learners import mean_squared_error, ridge


def test_scores_are_the_losses_of_the_tasks_that_were_drawn():
    tasks = sinusoid_tasks(5, 10)
    learner = ridge(mj.nn.mlp([8], 8), mean_squared_error)
    params = learner.init(jax.random.key(0), tasks(jax.random.key(1)))
    found = using.scores(learner, params, tasks, num=3, key=jax.random.key(2))
    for place, key in enumerate(jax.random.split(jax.random.key(2), 3)):
        task_key, adapt_key = jax.random.split(key)
        loss, metrics = learner.loss(params, tasks(task_key), adapt_key)
        for name, value in {"loss": loss, **metrics}.items():
            np.testing.assert_allclose(found[name][place], value, rtol=1e-4)
    # tasks that are given one by one
    some = [tasks(jax.random.key(seed)) for seed in (3, 4)]
    each = using.scores(learner, params, some)["loss"]
    wanted = [learner.loss(params, task, jax.random.key(0))[0] for task in some]
    np.testing.assert_allclose(each, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"tasks": []}, "tasks"),
        ({"tasks": lambda key: None}, "tasks"),
        ({"tasks": sinusoid_tasks(5, 10)(jax.random.key(0))}, "tasks"),
        ({"num": 0}, "num"),
        ({"num": 2.5}, "num"),
        ({"learner": mj.nn.mlp([8], 1)}, "learner"),
    ],
)
def test_what_cannot_be_scored_is_rejected_by_name(options, field):
    learner = ridge(mj.nn.mlp([8], 8), mean_squared_error)
    usual = {"learner": learner, "params": (), "tasks": sinusoid_tasks(5, 10)}
    with pytest.raises(mj.ConfigError) as raised:
        using.scores(**{**usual, **options})
    assert raised.value.field == field
