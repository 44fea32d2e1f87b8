"""Sequence learners predict the same dense as example by example."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sequence_learners import NAMES, sequence_learner

from metajax.core import Examples
from metajax.data import noise_pool
from metajax.learners import nearest_neighbour, online_adam, online_sgd, whole_sequence
from metajax.nn import mlp
from metajax.systems.gpicl import projection_tasks

KEY = jax.random.key(2)
SIZES = {"ways": 4, "examples": 9, "width": 16, "layers": 2}


@pytest.fixture(scope="module")
def tasks():
    pool = noise_pool(jax.random.key(0), num_classes=4, size=(3, 3))
    return projection_tasks(pool, jax.random.key(1), num_tasks=64, length=9, sequences=2)


class Made(NamedTuple):
    """A learner with what several tests ask of it, each compiled once."""

    learner: Any
    params: Any
    task: Any
    examples: Examples
    logits: Callable
    dense: np.ndarray


@pytest.fixture(scope="module")
def make(tasks):
    task = jax.device_get(jax.jit(lambda key: tasks(key))(KEY))
    examples = jax.device_get(whole_sequence(task))

    @functools.cache
    def made(name):
        learner = sequence_learner(name, **SIZES)
        params, logits = jax.jit(learner.meta.init)(KEY, task), jax.jit(learner.logits)
        dense = np.asarray(logits(params, examples, KEY))
        return Made(learner, params, task, examples, logits, dense)

    return made


@pytest.mark.parametrize("name", NAMES)
def test_adapting_and_predicting_equals_the_dense_pass(name, make):
    """Before any example, and after some of them."""
    learner, params, _, examples, _, dense = make(name)

    @jax.jit
    def answer(params, support, query, key):
        return learner.meta.predict(params, learner.meta.adapt(params, support, key), query)

    for seen in (0, 4):
        support = jax.tree.map(lambda leaf, seen=seen: leaf[:, :seen], examples)
        query = examples.inputs[:, seen : seen + 1]
        step = np.asarray(answer(params, support, query, KEY))
        np.testing.assert_allclose(step[:, 0], dense[:, seen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_loss_is_the_mean_cross_entropy_and_accuracy_of_its_logits(name, make):
    if name == "nearest_neighbour":
        pytest.skip("its logits are distances; only their order means anything")
    learner, params, task, examples, _, dense = make(name)
    loss, metrics = jax.jit(learner.meta.loss)(params, task, KEY)
    logits, targets = dense.astype(np.float64), examples.targets
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
    inputs = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    targets = np.array([0, 2, 1, 1, 0, 2], np.int32)
    examples = Examples(inputs[None], targets[None])
    params = jax.jit(network.init)(key, inputs[0])
    logits = np.asarray(jax.jit(learner.logits)(params, examples, key))[0]
    gradient = jax.jit(jax.grad(lambda w, x, y: -jax.nn.log_softmax(network.apply(w, x))[y]))
    apply = jax.jit(network.apply)
    weights = params
    for i in range(6):
        x, y = inputs[i], targets[i]
        np.testing.assert_allclose(logits[i], apply(weights, x), rtol=1e-5, atol=1e-6)
        grads = gradient(weights, x, y)
        weights = jax.tree.map(lambda w, g: np.asarray(w) - np.float32(0.1) * g, weights, grads)


def test_sgd_starts_each_sequence_from_weights_of_its_own():
    learner = online_sgd(mlp([5], 3), optax.sgd(0.1), learned_init=False)
    key = jax.random.key(0)
    examples = Examples(jnp.ones((2, 3, 4)), jnp.zeros((2, 3), jnp.int32))
    logits = np.asarray(jax.jit(learner.logits)({}, examples, key))
    assert not np.allclose(logits[0, 0], logits[1, 0])


def test_online_adam_has_a_derivative_where_units_are_off():
    """Their second moments are 0, of which a root has an infinite derivative."""
    network = mlp([3], 2)
    off = network.init(KEY, jnp.ones(4))
    off["Dense_0"]["bias"] = jnp.full(3, -100.0)
    examples = Examples(jnp.ones((1, 3, 4)), jnp.zeros((1, 3), jnp.int32))
    learner = online_adam(network, 1e-2, learned_init=True)

    def last(params):
        return jnp.sum(learner.logits(params, examples, KEY)[0, -1] * jnp.array([1.0, -1.0]))

    found = jax.jit(jax.grad(last))(off)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
    assert np.any(np.asarray(found["Dense_1"]["bias"]) != 0)


@pytest.mark.parametrize("name", NAMES)
def test_first_prediction_sees_no_label(name, make):
    """Changing every label leaves the prediction at the first position the same bits."""
    _, params, _, examples, logits, dense = make(name)
    other = examples._replace(targets=(examples.targets + 1) % 4)
    np.testing.assert_array_equal(logits(params, other, KEY)[:, 0], dense[:, 0])
