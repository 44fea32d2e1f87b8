"""Hypernetworks over tasks: what is true of them by construction, and that they forget less."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sequence_toys import STEPS, TASKS, batch, by_hypernet, hypernet, sequence, train

from metajax import continual
from metajax.core import digest


def start(learner, seed=0):
    @jax.jit
    def first(key, support):
        params = learner.init(key, support)
        return params, learner.memory(params)

    return first(jax.random.key(seed), batch().support)


def moved(params, seed=1):
    draw = np.random.default_rng(seed).standard_normal
    return jax.tree.map(
        lambda leaf: np.asarray(leaf) + np.float32(0.1) * draw(leaf.shape).astype(np.float32),
        params,
    )


def begun(learner, index, move=lambda params: params):
    """At the first step of a task: what is kept of the parameters moved since, and its slope."""
    params, memory = jax.jit(learner.begin)(*start(learner), np.int32(index))
    kept = jax.jit(jax.value_and_grad(learner.kept))
    return jax.device_get(kept(move(params), memory, np.int32(index)))


@pytest.mark.parametrize("options", [{}, {"store_targets": True}], ids=["again", "stored"])
def test_at_the_first_step_of_a_task_nothing_has_changed(options):
    kept, slope = begun(by_hypernet(strength=2.0, **options), 1)
    assert kept == 0 and all(not leaf.any() for leaf in jax.tree.leaves(slope))


def test_targets_stored_or_made_again_are_the_same():
    found = [
        begun(by_hypernet(strength=2.0, store_targets=store), 2, moved) for store in (False, True)
    ]
    assert found[0][0] > 0
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_the_change_is_summed_over_numbers_and_averaged_over_earlier_tasks():
    learner = by_hypernet(strength=3.0)
    params, memory = jax.jit(learner.begin)(*start(learner), np.int32(2))
    params = jax.device_get(params)
    after = moved(params)
    # embeddings are over once their task is: those of the new parameters count, as they are
    after = {**after, "embeddings": params["embeddings"]}
    expected, network = 0.0, jax.jit(hypernet().apply)
    for task in range(2):
        old, new = (
            jax.device_get(network(of["hypernet"], params["embeddings"][task]))
            for of in (params, after)
        )
        expected += sum(
            float(np.sum((a - b) ** 2))
            for a, b in zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
        )
    found = jax.jit(learner.kept)(after, memory, np.int32(2))
    np.testing.assert_allclose(found, 3.0 * expected / 2, rtol=1e-4)


@pytest.mark.slow
def test_embeddings_of_finished_tasks_do_not_move():
    learner = by_hypernet(strength=0.1)
    result = train(learner)
    embeddings = np.asarray(result.params["embeddings"])
    for task in range(TASKS):
        for later in range(task, TASKS):
            np.testing.assert_array_equal(embeddings[later, task], embeddings[task, task])
    assert (embeddings[0, 1] != embeddings[1, 1]).any()


def test_a_new_embedding_alone_leaves_earlier_tasks_as_they_are():
    learner = by_hypernet()
    params, _ = start(learner)
    inputs = batch().support.examples.inputs
    predict = jax.jit(learner.predict)
    before = predict(params, jnp.int32(0), inputs)
    embeddings = params["embeddings"].at[1].add(1.0)
    after = predict({**params, "embeddings": embeddings}, jnp.int32(0), inputs)
    np.testing.assert_array_equal(before, after)


def test_without_strength_training_is_that_without_the_term():
    learner = by_hypernet(strength=0.0)
    free = train(learner._replace(kept=None))
    jax.tree.map(np.testing.assert_array_equal, train(learner).params, free.params)


@pytest.mark.slow
def test_weighing_by_importance_changes_what_is_held():
    learner = by_hypernet(strength=1.0, weigh=True)
    result = train(learner, STEPS)
    importance = result.state.memory.importance
    for leaf in jax.tree.leaves(importance):
        assert (leaf[0] >= 0).all() and leaf[0].any() and not leaf[1:].any()
    params = jax.tree.map(lambda leaf: leaf[-1], result.params)
    params, memory = learner.begin(params, result.state.memory, jnp.int32(1))
    uneven = learner.kept(moved(params), memory, jnp.int32(1))
    even = by_hypernet(strength=1.0).kept(
        moved(params), memory._replace(importance=None), jnp.int32(1)
    )
    assert 0 < uneven != even


SECOND_LINE = [pytest.param(order, marks=pytest.mark.slow) for order in ("in_a_row", "neighbor")]


@pytest.mark.parametrize("order", ["apart", *SECOND_LINE])
def test_what_is_held_in_place_is_not_forgotten(order):
    def summary(strength):
        learner = by_hypernet(order, strength=strength)
        after = train(learner).params
        return continual.summarize(continual.accuracy_matrix(learner.predict, after, sequence()))

    free, held = summary(0.0), summary(0.1)
    assert free.forgetting > 0.1 and held.forgetting < free.forgetting / 3
    assert held.final > free.final + 0.1


@pytest.mark.slow
def test_looking_ahead_compares_after_the_step_of_the_task():
    plain, ahead = train(by_hypernet()), train(by_hypernet(look_ahead=True))
    assert digest(plain.params) != digest(ahead.params)
    # in the first task there is nothing to compare with
    first = [jax.tree.map(lambda leaf: leaf[0], run.params) for run in (plain, ahead)]
    assert digest(first[0]) == digest(first[1])


def test_the_surest_network_decides_where_the_task_is_not_told():
    logits = jnp.array([[[3.0, 0.0], [0.1, 0.0]], [[0.0, 0.2], [0.0, 4.0]]])
    found, task = continual.least_entropy(
        lambda params, index, inputs: params[index], logits, 2, jnp.zeros((2, 1))
    )
    np.testing.assert_array_equal(task, [0, 1])
    np.testing.assert_array_equal(found, [[3.0, 0.0], [0.0, 4.0]])
