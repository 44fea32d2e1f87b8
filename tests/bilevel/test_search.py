"""Random search against the same thing written as a plain loop over trials."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.bilevel import OnlineParams, descend, random_search
from metajax.bilevel.search import WORST
from metajax.core import ConfigError, Task

KEY = jax.random.key(0)


def problem_of_rates():
    """Descend (w - x)^2 at a rate that is the hyperparameter; scored by the distance left."""

    def loss(w, rate, batch):
        return jnp.mean(jnp.square(w - batch))

    return descend(loss, loss, lambda rate: optax.sgd(rate))


def search(rates, **options):
    """Trials take their rate from ``rates`` in turn, whatever the key."""
    counter = iter(rates)

    def init(key, task):
        return OnlineParams(jnp.float32(next(counter)), jnp.float32(0.0))

    return random_search(problem_of_rates(), init=init, inner_steps=2, trial_steps=2, **options)


def run(rates, steps, **options):
    """Run eagerly, so that every trial draws anew from the list."""
    algorithm = search(rates, **options)
    tasks = Task(jnp.array([[1.0], [3.0]]), jnp.array([[1.0], [3.0]]))
    state = algorithm.init(KEY, None)
    states = []
    for step in range(steps):
        state, metrics = algorithm.update(state, tasks, jax.random.fold_in(KEY, step))
        states.append((algorithm.params(state), metrics))
    return states


def left(rate):
    """The loss after two steps at 1 and 3 from 0: each step leaves 1 - 2 rate of the distance."""
    return np.mean(np.square(np.array([1.0, 3.0]) * (1 - 2 * rate) ** 2))


def test_the_best_trial_is_kept():
    """init is called once a meta-step: those of every second step are the next trials."""
    drawn = [0.9, 9, 0.3, 9, 0.05, 9, 0.9]
    states = run(drawn, 6)
    shown = [float(params.hparams) for params, _ in states]
    np.testing.assert_allclose(shown, [0.9, 0.9, 0.9, 0.3, 0.3, 0.3])
    scores = [float(metrics["best_score"]) for _, metrics in states]
    np.testing.assert_allclose(scores, [WORST] + [left(0.9)] * 2 + [left(0.3)] * 3, rtol=1e-5)


def test_reptile_moves_the_start_within_a_trial_and_a_new_one_begins_anew():
    states = run([0.25, 9, 0.25, 9, 0.25], 3, reptile_rate=0.5)
    # two steps at .25 leave a quarter of the distance: 0 -> .75 * 2 on average, half of it taken
    first, second = 0.75, 0.75 + 0.5 * 0.75 * (2 - 0.75)
    starts = [float(params.start) for params, _ in states]
    np.testing.assert_allclose(starts, [first, second, second], rtol=1e-5)


def test_a_diverged_trial_counts_as_the_worst():
    states = run([jnp.nan, 9, 0.3, 9, jnp.nan, 9, 0.3], 6)
    assert not np.isfinite(states[1][0].hparams)
    np.testing.assert_allclose([float(params.hparams) for params, _ in states[3:]], [0.3] * 3)
    assert all(np.isfinite(metrics["loss"]) for _, metrics in states)


def test_tasks_in_turn_are_tasks_side_by_side():
    problem, init, _ = toy_problem.inner_problem()
    tasks = jax.vmap(toy_problem.make_tasks())(jax.random.split(KEY, 3))

    def after(tasks_at_once):
        algorithm = random_search(
            problem,
            init=init,
            inner_steps=3,
            trial_steps=2,
            reptile_rate=0.5,
            tasks_at_once=tasks_at_once,
        )
        state = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], tasks))
        return jax.jit(algorithm.update)(state, tasks, KEY)

    chex.assert_trees_all_close(after(None), after(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("field", ["inner_steps", "trial_steps", "tasks_at_once"])
def test_no_steps_are_refused(field):
    with pytest.raises(ConfigError, match=field):
        random_search(
            problem_of_rates(),
            init=lambda key, task: None,
            **{"inner_steps": 1, "trial_steps": 1, field: 0},
        )
