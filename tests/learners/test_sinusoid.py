"""MAML learns the standard sinusoids."""

import jax
import numpy as np
import optax
import pytest

from metajax.core import gradient
from metajax.data import sinusoid_tasks
from metajax.learners import adaptation_curve, maml, mean_squared_error
from metajax.nn import mlp
from metajax.train import fit

META_STEPS = 5_000


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_ten_steps_from_the_learned_start_fit_a_new_sine():
    """Seed 0, 10 shots, five inner steps in training: below .5 at the 95% interval's upper end.

    The interval is over 1000 tasks that training does not draw.
    """
    learner = maml(mlp([40, 40], 1), mean_squared_error, optax.sgd(0.01), steps=5)
    tasks = sinusoid_tasks(support=10, query=10)
    result = fit(
        gradient(learner, optax.adam(1e-3)),
        tasks,
        steps=META_STEPS,
        tasks_per_step=25,
        key=jax.random.key(0),
        log_every=1000,
        progress=False,
    )

    @jax.jit
    @jax.vmap
    def curve(key):
        scored = sinusoid_tasks(support=10, query=100)(key)
        return adaptation_curve(learner, mean_squared_error, result.params, scored, key, steps=10)

    losses = np.asarray(curve(jax.random.split(jax.random.key(1), 1000))["query_loss"])
    mean = losses.mean(axis=0)
    half = 1.96 * losses.std(axis=0, ddof=1) / np.sqrt(len(losses))
    print("query MSE after 0, 1, 5, 10 steps:", mean[[0, 1, 5, 10]], "+-", half[[0, 1, 5, 10]])
    assert mean[10] + half[10] < 0.5
    assert mean[10] < mean[5] < mean[1] < mean[0]
