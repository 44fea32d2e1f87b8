"""Tasks of different shapes in one step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, MixedTasks, Task, gradient, mixed
from metajax.learners import maml, mean_squared_error
from metajax.nn import mlp

KEY = jax.random.key(0)


def lines(points):
    """Lines through 0, seen at as many points as given."""

    def draw(key):
        slope_key, *keys = jax.random.split(key, 3)
        slope = jax.random.normal(slope_key)
        inputs = [jax.random.normal(k, (points, 1)) for k in keys]
        return Task(*(Examples(x, slope * x) for x in inputs))

    return jax.tree_util.Partial(draw)


LEARNER = maml(mlp((4,), 1), mean_squared_error, optax.sgd(0.1), steps=2)
TASKS = MixedTasks((lines(3), lines(5)), (2, 1))


def test_a_mix_is_its_tasks_one_by_one():
    """Loss, metrics and adaptation, against a loop over single tasks."""
    single_loss, single_adapt, single_predict = map(
        jax.jit, (LEARNER.loss, LEARNER.adapt, LEARNER.predict)
    )
    learner, task = mixed(LEARNER), TASKS(KEY)
    assert task.support[0].inputs.shape == (2, 3, 1) and task.query[1].inputs.shape == (1, 5, 1)
    params = jax.jit(learner.init)(KEY, task)
    keys = jax.random.split(KEY, 3)
    single = [(0, 0), (0, 1), (1, 0)]
    losses, outputs = [], []
    for key, (part, row) in zip(keys, single, strict=True):
        one = jax.tree.map(lambda x, r=row: x[r], Task(task.support[part], task.query[part]))
        losses.append(single_loss(params, one, key)[0])
        adapted = single_adapt(params, one.support, key)
        outputs.append(single_predict(params, adapted, one.query.inputs))
    loss, metrics = jax.jit(learner.loss)(params, task, KEY)
    assert float(loss) == pytest.approx(np.mean(losses), rel=1e-5)
    assert float(metrics["query_loss"]) == pytest.approx(np.mean(losses), rel=1e-5)
    adapted = jax.jit(learner.adapt)(params, task.support, KEY)
    inputs = tuple(part.inputs for part in task.query)
    found = jax.jit(learner.predict)(params, adapted, inputs)
    for wanted, (part, row) in zip(outputs, single, strict=True):
        np.testing.assert_allclose(found[part][row], wanted, rtol=1e-5, atol=1e-6)


def test_a_mix_is_followed_as_its_tasks_are():
    """The note is of all tasks together: here the sum of what they adapt."""

    def total(adapted):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(adapted))

    learner, task = mixed(LEARNER), TASKS(KEY)
    params = jax.jit(learner.init)(KEY, task)
    follow = jax.jit(learner.follow, static_argnums=(3, 4))
    adapted, notes = follow(params, task.support, KEY, 2, total)
    for found, wanted in zip(
        *map(jax.tree.leaves, (adapted, jax.jit(learner.adapt)(params, task.support, KEY))),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    assert notes.shape == (3,)
    assert float(notes[2]) == pytest.approx(float(total(adapted)), rel=1e-5)
    assert float(notes[0]) == pytest.approx(3 * float(total(params)), rel=1e-5)
    assert mixed(LEARNER._replace(follow=None)).follow is None


def test_its_tasks_differ_and_an_update_learns_from_all():
    task = TASKS(KEY)
    assert len(np.unique(np.asarray(task.support[0].inputs[:, 0, 0]))) == 2
    algorithm = gradient(mixed(LEARNER), optax.sgd(1.0))
    state = jax.jit(algorithm.init)(KEY, task)
    stacked = jax.tree.map(lambda x: x[None], task)
    after, metrics = jax.jit(algorithm.update)(state, stacked, KEY)
    grads = jax.jit(jax.grad(lambda p: mixed(LEARNER).loss(p, task, KEY)[0]))(state.params)
    for old, new, slope in zip(
        *(jax.tree.leaves(t) for t in (state.params, after.params, grads)), strict=True
    ):
        np.testing.assert_allclose(old - new, slope, rtol=1e-4, atol=1e-6)
    assert jnp.isfinite(metrics["loss"])


@pytest.mark.parametrize("counts", [(1,), (1, 0), (1, 1, 1)])
def test_counts_that_do_not_fit_are_refused(counts):
    with pytest.raises(ConfigError, match="counts"):
        MixedTasks((lines(3), lines(5)), counts)


def test_what_is_no_mix_is_named():
    learner, task = mixed(LEARNER), TASKS(KEY)
    one = lines(3)(KEY)
    params = jax.jit(learner.init)(KEY, task)
    for call, arguments, said in (
        (mixed, (optax.sgd(0.1),), "learner = 'an optax optimizer'"),
        (learner.init, (KEY, one), r"task\.support = 'an Examples'"),
        (learner.loss, (params, list(task), KEY), "task = 'a list'"),
        (learner.loss, (params, Task(task.support, task.query[:1]), KEY), r"task\.query = "),
        (learner.adapt, (params, one.support, KEY), "support = 'an Examples'"),
        (learner.follow, (params, one.support, KEY, 1, id), "support = 'an Examples'"),
        (learner.predict, (params, task.support, one.query.inputs), "inputs = "),
    ):
        with pytest.raises(ConfigError, match=said):
            call(*arguments)
