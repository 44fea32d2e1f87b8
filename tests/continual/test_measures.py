"""Accuracies on a sequence: what is told, what is inferred, and whether bounds hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sequence_toys import CLASSES, NETWORK, SIDE, TASKS, batch, by_hypernet, pool, sequence

from metajax import continual
from metajax.core import ConfigError
from metajax.nn import mlp


def drawn(learner):
    return jax.jit(learner.init)(jax.random.key(0), batch().support)


def of_task(of, index):
    examples, counts = of(jnp.int32(index))
    kept = np.asarray(counts)
    return np.asarray(examples.inputs)[kept], np.asarray(examples.targets)[kept]


def test_the_accuracy_by_task_is_the_last_row_of_the_matrix():
    learner = by_hypernet()
    params = drawn(learner)
    after = jax.tree.map(lambda leaf: leaf[None], params)

    def told(index, inputs):
        return learner.predict(params, index, inputs)

    np.testing.assert_array_equal(
        continual.accuracy_by_task(told, sequence()),
        continual.accuracy_matrix(learner.predict, after, sequence())[0],
    )


def test_where_all_tasks_have_one_embedding_no_task_has_to_be_told():
    learner = by_hypernet()
    params = drawn(learner)
    mean = jnp.mean(params["embeddings"], 0, keepdims=True)
    alike = {**params, "embeddings": jnp.broadcast_to(mean, params["embeddings"].shape)}
    after = jax.tree.map(lambda leaf: leaf[None], alike)
    told = float(jnp.mean(continual.accuracy_matrix(learner.predict, after, sequence())))
    # the network that stands for all tasks is made from the mean embedding
    for given in (params, alike):
        found = continual.universal_accuracy(learner, given, sequence())
        assert float(found) == pytest.approx(told)
    assert float(continual.inferred_accuracy(learner, alike, sequence())) == pytest.approx(told)


def test_a_learner_without_a_network_for_all_tasks_is_rejected():
    with pytest.raises(ConfigError, match="stands for all tasks"):
        continual.universal_accuracy(continual.fine_tuning(NETWORK), {}, sequence())


def test_the_nearest_mean_of_all_tasks_decides_where_none_is_told():
    """Compared with NumPy, on split tasks: the nearest of all means, by its label in its task."""
    tasks = continual.split(pool(0), pool(1, 5), 2)
    found = continual.class_mean_accuracies(tasks)
    train = [of_task(tasks.all_of, index) for index in range(tasks.num_tasks)]
    means = np.array([[x[y == way].mean(0) for way in (0, 1)] for x, y in train])
    for index in range(tasks.num_tasks):
        x, y = of_task(tasks.held_out_of, index)
        apart = np.sum((x[:, None, None] - means[None]) ** 2, -1)
        told = np.mean(np.argmin(apart[:, index], 1) == y)
        untold = np.mean(np.argmin(apart.reshape(len(x), -1), 1) % 2 == y)
        np.testing.assert_allclose([each[index] for each in found], [told, untold], rtol=1e-6)


def test_the_excess_over_bounds_is_found_where_bounds_are_too_narrow():
    tasks = continual.split(pool(0), pool(1, 5), 2)
    learner = continual.interval_hypernetwork(
        SIDE**2, (8,), 2, CLASSES // 2, embedding=5, hidden=(9, 9)
    )
    params, boxed = drawn(learner), learner.boxed
    assert continual.try_bounds(boxed, params, tasks, 5).excess < 1e-5

    def narrow(params, index, inputs):
        found = boxed.bounds(params, index, inputs)
        return found._replace(radius=0.01 * found.radius)

    assert continual.try_bounds(boxed._replace(bounds=narrow), params, tasks, 5).excess > 1e-4


def test_hypernetworks_in_chunks_are_as_small_in_any_order_and_small_networks_too():
    inputs, sizes = jnp.zeros((1, SIDE**2)), {"chunk_size": 30, "embedding": 5, "hidden": 12}

    def numbers(learner):
        params = jax.eval_shape(learner.init, jax.random.key(0), batch().support)
        return learner.numbers(params, None, TASKS)["predicting"]

    found = {
        order: numbers(continual.chunked_hypernetwork(NETWORK, inputs, TASKS, order, **sizes))
        for order in ("apart", "in_a_row")
    }
    for order, number in found.items():
        assert number == continual.chunked_size(NETWORK, inputs, TASKS, order, **sizes)
    assert 0.8 < found["in_a_row"] / found["apart"] <= 1


def test_small_networks_are_as_wide_as_their_budget_allows():
    inputs = jnp.zeros((1, SIDE**2))

    def network_of(width):
        return mlp((width,), CLASSES)

    budget = TASKS * continual.network_size(network_of(6), inputs) + 1
    learner = continual.small_networks(network_of, inputs, TASKS, budget)
    params = jax.eval_shape(learner.init, jax.random.key(0), batch().support)
    assert params["Dense_0"]["kernel"].shape == (TASKS, SIDE**2, 6)
