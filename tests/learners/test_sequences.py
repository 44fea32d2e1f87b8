"""Sequence learners predict the same dense as example by example."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_learners import NAMES, sequence_learner

from metajax.core import Examples
from metajax.data import noise_pool
from metajax.learners import nearest_neighbour, online_sgd, whole_sequence
from metajax.nn import mlp
from metajax.systems.gpicl import projection_tasks

SIZES = {"ways": 4, "examples": 9, "width": 16, "layers": 2}


@pytest.fixture(scope="module")
def tasks():
    pool = noise_pool(jax.random.key(0), num_classes=4, size=(3, 3))
    return projection_tasks(pool, jax.random.key(1), num_tasks=64, length=9, sequences=2)


def drawn(learner, tasks, key):
    """Meta-parameters and a task, by one compiled call."""

    @jax.jit
    def draw(key):
        task = tasks(key)
        return learner.meta.init(key, task), task

    return draw(key)


@pytest.mark.parametrize("name", NAMES)
def test_adapting_and_predicting_equals_the_dense_pass(name, tasks):
    learner = sequence_learner(name, **SIZES)
    key = jax.random.key(2)
    params, task = drawn(learner, tasks, key)
    examples = whole_sequence(task)

    @jax.jit
    def answer(params, support, query, key):
        return learner.meta.predict(params, learner.meta.adapt(params, support, key), query)

    dense = jax.jit(learner.logits)(params, examples, key)
    for seen in (0, 1, 4, 8):
        support = jax.tree.map(lambda leaf, seen=seen: leaf[:, :seen], examples)
        query = examples.inputs[:, seen : seen + 1]
        step = answer(params, support, query, key)
        np.testing.assert_allclose(step[:, 0], dense[:, seen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_mean_cross_entropy_and_accuracy_of_its_logits(name, tasks):
    if name == "nearest_neighbour":
        pytest.skip("its logits are distances; only their order means anything")
    learner = sequence_learner(name, **SIZES)
    key = jax.random.key(2)
    params, task = drawn(learner, tasks, key)
    loss, metrics = jax.jit(learner.meta.loss)(params, task, key)
    examples = whole_sequence(task)
    logits = np.asarray(jax.jit(learner.logits)(params, examples, key), np.float64)
    targets = np.asarray(examples.targets)
    picked = np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    expected = np.mean(np.log(np.exp(logits).sum(-1)) - picked)
    assert abs(float(loss) - expected) < 1e-5
    assert abs(float(metrics["accuracy"]) - np.mean(logits.argmax(-1) == targets)) < 1e-6


def test_nearest_neighbour_equals_a_loop_over_distances(tasks):
    learner = nearest_neighbour(4)
    examples = whole_sequence(jax.jit(lambda key: tasks(key))(jax.random.key(5)))
    predicted = np.asarray(jax.jit(learner.logits)({}, examples, jax.random.key(0))).argmax(-1)
    inputs, targets = np.asarray(examples.inputs), np.asarray(examples.targets)
    for s in range(2):
        for i in range(1, 9):
            distances = np.sum((inputs[s, :i] - inputs[s, i]) ** 2, -1)
            nearest = np.isclose(distances, distances.min(), atol=1e-4)
            assert predicted[s, i] in targets[s, :i][nearest]


def test_online_sgd_equals_a_python_loop_over_examples():
    """One plain gradient step per example, scored before it."""
    network = mlp([5], 3)
    learner = online_sgd(network, optax.sgd(0.1), learned_init=True)
    key = jax.random.key(0)
    examples = Examples(jax.random.normal(key, (1, 6, 4)), jnp.array([[0, 2, 1, 1, 0, 2]]))
    params = jax.jit(network.init)(key, examples.inputs[0, 0])
    logits = jax.jit(learner.logits)(params, examples, key)[0]
    gradient = jax.jit(jax.grad(lambda w, x, y: -jax.nn.log_softmax(network.apply(w, x))[y]))
    weights = params
    for i in range(6):
        x, y = examples.inputs[0, i], examples.targets[0, i]
        np.testing.assert_allclose(logits[i], network.apply(weights, x), rtol=1e-5, atol=1e-6)
        grads = gradient(weights, x, y)
        weights = jax.tree.map(lambda w, g: w - jnp.float32(0.1) * g, weights, grads)


def test_sgd_starts_each_sequence_from_weights_of_its_own():
    learner = online_sgd(mlp([5], 3), optax.sgd(0.1), learned_init=False)
    key = jax.random.key(0)
    examples = Examples(jnp.ones((2, 3, 4)), jnp.zeros((2, 3), jnp.int32))
    logits = learner.logits({}, examples, key)
    assert not np.allclose(logits[0, 0], logits[1, 0])


def test_first_prediction_sees_no_label(tasks):
    """Changing every label leaves the prediction at the first position the same bits."""
    for name in NAMES:
        learner = sequence_learner(name, **SIZES)
        key = jax.random.key(2)
        params, task = drawn(learner, tasks, key)
        examples, logits = whole_sequence(task), jax.jit(learner.logits)
        other = examples._replace(targets=(examples.targets + 1) % 4)
        first, second = (np.asarray(logits(params, x, key))[:, 0] for x in (examples, other))
        np.testing.assert_array_equal(first, second)
