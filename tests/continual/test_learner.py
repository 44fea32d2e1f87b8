"""Learners of tasks in sequence: what training one task after the other does, and does not do."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_toys import NETWORK, STEPS, TASKS, batch, by_hypernet, sequence, train

import metajax as mj
from metajax import continual
from metajax.core import ConfigError, digest, enable_x64


@pytest.fixture(scope="module")
def fine_tuned():
    return train(continual.fine_tuning(NETWORK))


def matrix(learner, result):
    return continual.accuracy_matrix(learner.predict, result.params, sequence())


def test_one_network_forgets_and_separate_ones_do_not(fine_tuned):
    after = matrix(continual.fine_tuning(NETWORK), fine_tuned)
    forgetful = continual.summarize(after)
    learner = continual.separate_networks(NETWORK, TASKS)
    faithful = continual.summarize(matrix(learner, train(learner)))
    assert faithful.forgetting == 0 and faithful.final > 0.9
    assert forgetful.forgetting > 0.15 and forgetful.during > 0.9


def test_the_summary_is_that_of_its_definition():
    table = jnp.array([[0.9, 0.1, 0.2], [0.7, 0.8, 0.3], [0.4, 0.6, 1.0]])
    found = continual.summarize(table)
    assert found.final == pytest.approx((0.4 + 0.6 + 1.0) / 3)
    assert found.during == pytest.approx((0.9 + 0.8 + 1.0) / 3)
    assert found.forgetting == pytest.approx(((0.9 - 0.4) + (0.8 - 0.6)) / 2)
    assert found.backward == -found.forgetting


def test_parameters_after_each_task_are_those_of_runs_that_stopped_there(fine_tuned):
    for tasks in range(1, TASKS):
        short = train(continual.fine_tuning(NETWORK), tasks * STEPS)
        latest = jax.tree.map(lambda leaf: np.asarray(leaf)[-1], short.params)
        kept = jax.tree.map(lambda leaf, t=tasks: np.asarray(leaf)[t - 1], fine_tuned.params)
        assert digest(latest) == digest(kept)


@pytest.mark.slow
def test_a_run_resumed_in_the_middle_of_a_task_ends_in_the_same_bits(tmp_path):
    learner = by_hypernet()
    whole = train(learner)
    train(learner, STEPS + STEPS // 2, workdir=tmp_path, checkpoint_every=5)
    resumed = train(learner, workdir=tmp_path, checkpoint_every=5)
    assert digest(resumed.state) == digest(whole.state)


def test_one_program_serves_all_tasks():
    algorithm = continual.in_sequence(by_hypernet(), optax.adam(1e-2), TASKS)
    tasks = continual.sequence_tasks(sequence(), STEPS, 8, 4)
    compiled = []

    @jax.jit
    def step(state, tasks, key, number):
        compiled.append(number)
        drawn = jax.vmap(lambda key: tasks(key, number))(jax.random.split(key, 2))
        return algorithm.update(state, drawn, key)

    key = jax.random.key(0)
    state = jax.jit(lambda key: algorithm.init(key, tasks(key, 0)))(key)
    for number in (0, STEPS, 2 * STEPS + 3):
        state, _ = step(state, tasks, key, jnp.int32(number))
    assert len(compiled) == 1


def test_the_optimizer_starts_again_in_every_task():
    learner = continual.fine_tuning(NETWORK)
    rule = optax.adam(1e-2)
    algorithm = continual.in_sequence(learner, rule, TASKS)
    tasks, key = continual.sequence_tasks(sequence(), STEPS, 8, 4), jax.random.key(0)
    state = train(learner, STEPS).state

    @jax.jit
    def step(state, number):
        drawn = jax.vmap(lambda key: tasks(key, number))(jax.random.split(key, 2))
        return algorithm.update(state, drawn, key)[0]

    fresh = state._replace(opt_state=jax.jit(rule.init)(state.params))
    assert digest(step(state, jnp.int32(STEPS))) == digest(step(fresh, jnp.int32(STEPS)))
    # within a task it keeps its state
    within = jnp.int32(STEPS - 1)
    assert digest(step(state, within)) != digest(step(fresh, within))


def test_the_diagonal_fisher_is_that_of_logistic_regression():
    """Of a linear model it is known: sum over labels of p (1[label] - p)^2 x^2."""
    with enable_x64(True):
        inputs = np.random.default_rng(0).normal(size=(400, 3))
        params = {"kernel": np.random.default_rng(1).normal(size=(3, 4))}

        def logits_of(params, inputs):
            return inputs @ params["kernel"]

        powers = np.exp(logits_of(params, inputs))
        probabilities = powers / powers.sum(1, keepdims=True)
        exact = np.mean(inputs[:, :, None] ** 2 * (probabilities * (1 - probabilities))[:, None], 0)
        keys = jax.random.split(jax.random.key(0), 40)
        fisher = jax.jit(lambda key: continual.diagonal_fisher(logits_of, params, inputs, key))
        each = [fisher(key)["kernel"] for key in keys]
        found, spread = np.mean(each, 0), np.std(each, 0) / np.sqrt(len(each))
        assert (np.abs(found - exact) < 5 * spread).all() and (spread < 0.05 * exact).all()


def test_elastic_weights_of_no_strength_are_fine_tuning(fine_tuned):
    held = train(continual.elastic_weights(NETWORK, 0.0))
    jax.tree.map(np.testing.assert_array_equal, held.params, fine_tuned.params)


def test_elastic_weights_hold_what_was_learned(fine_tuned):
    learner = continual.elastic_weights(NETWORK, 100.0)
    held = continual.summarize(matrix(learner, train(learner)))
    free = continual.summarize(matrix(continual.fine_tuning(NETWORK), fine_tuned))
    assert held.forgetting < free.forgetting / 2


@pytest.mark.slow
def test_joint_training_trains_on_all_tasks_so_far():
    learner = continual.joint_training(NETWORK)
    found = matrix(learner, train(learner))
    assert continual.summarize(found).final > 0.85
    task = batch(1)
    loss = learner.loss(learner.init(jax.random.key(0), task.support), (), task.support, None)[0]
    moved = task.support._replace(examples=jax.tree.map(jnp.zeros_like, task.support.examples))
    again = learner.loss(learner.init(jax.random.key(0), task.support), (), moved, None)[0]
    assert loss == again


@pytest.mark.parametrize("make", [continual.fine_tuning, by_hypernet], ids=["single", "hypernet"])
def test_numbers_kept_are_those_of_the_parameters(make):
    learner = make(NETWORK) if make is continual.fine_tuning else make()
    params = jax.eval_shape(learner.init, jax.random.key(0), batch().support)
    kept = learner.numbers(params, None, TASKS)
    assert kept["predicting"] == mj.core.count(params)


def test_the_widest_networks_of_a_budget():
    assert continual.largest_width(lambda width: 10 * width + 5, 200, 4) == 4
    with pytest.raises(ConfigError, match="budget"):
        continual.largest_width(lambda width: 10 * width + 5, 20, 4)
