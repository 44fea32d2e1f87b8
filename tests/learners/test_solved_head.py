"""A solved head: where descent with a pull towards its start ends, and its strength."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import KEY, WAYS, classification_task, regression_task, smooth
from metajax.core import ConfigError, Network, enable_x64
from metajax.learners import anil, anil_solved, cross_entropy, mean_squared_error
from metajax.learners.solved_head import LOG_STRENGTHS, head_equations
from metajax.nn import mlp


def linear_head(width=4, outputs=1):
    """Tanh features and a linear head, in the dtype of the inputs."""
    body = smooth(width, width)

    def init(key, inputs):
        kernel = np.random.default_rng(1).normal(size=(width, outputs))
        return {
            "body": body.init(key, inputs),
            "head": {"kernel": jnp.asarray(kernel, inputs.dtype)},
        }

    def apply(params, inputs):
        return body.apply(params["body"], inputs) @ params["head"]["kernel"]

    return Network(init, apply)


@pytest.mark.parametrize("examples", [3, 8], ids=["fewer equations", "more equations"])
def test_it_is_where_the_steps_of_anil_lead(examples):
    """Descent of the squared error plus the pull towards the first head, until it stands still."""
    strength = 0.3
    with enable_x64(True):
        task, network = regression_task(examples=examples), linear_head()

        def pulled(outputs, targets):
            return jnp.sum(jnp.square(outputs - targets))

        learner = anil_solved(network, pulled, log_strength=float(np.log(strength)))
        params = learner.init(KEY, task)
        solved = jax.jit(learner.adapt)(params, task.support, KEY)["head/kernel"]
        start = params.network["head"]["kernel"]
        pull = optax.stateless(
            lambda grads, now: jax.tree.map(lambda g, w: g + 2 * strength * (w - start), grads, now)
        )
        stepped = anil(network, pulled, optax.chain(pull, optax.sgd(0.05)), steps=3000)
        expected = jax.jit(stepped.adapt)(params.network, task.support, KEY)["head/kernel"]
    np.testing.assert_allclose(solved, expected, rtol=1e-7)
    assert np.abs(solved - start).max() > 0.1


def test_the_equations_are_the_features_whatever_is_differentiated():
    with enable_x64(True):
        network, task = linear_head(outputs=2), regression_task(examples=3)
        params = network.init(KEY, task.support.inputs)
        features = smooth(4, 4).apply(params["body"], task.support.inputs)
        expected = np.kron(features, np.eye(2))
        for repeat in (1, 4):  # by rows, then by columns
            inputs = jnp.tile(task.support.inputs, (repeat, 1))
            outputs, design, head_of = head_equations(network, params, "head", inputs)
            np.testing.assert_allclose(design, np.tile(expected, (repeat, 1)), atol=1e-12)
            np.testing.assert_allclose(outputs, network.apply(params, inputs))
        moved = head_of(jnp.ones(8))["head/kernel"]
        np.testing.assert_allclose(moved, params["head"]["kernel"] + 1)


@pytest.mark.parametrize("examples", [3, 8], ids=["fewer equations", "more equations"])
def test_a_strength_that_is_not_learned_predicts_each_example_from_the_others(examples):
    with enable_x64(True):
        task, network = regression_task(examples=examples), linear_head()
        learner = anil_solved(network, mean_squared_error, log_strength=None)
        params = learner.init(KEY, task)
        found = jax.jit(learner.adapt)(params, task.support, KEY)["head/kernel"]
        x = np.asarray(smooth(4, 4).apply(params["body"], task.support.inputs))
    start = np.asarray(params["head"]["kernel"])
    rest = np.asarray(task.support.targets) - x @ start
    pull = np.eye(4) * np.mean(np.sum(x**2, 1))

    def head(log, at):
        return np.linalg.solve(x[at].T @ x[at] + np.exp(log) * pull, x[at].T @ rest[at])

    def error(log):
        out = [np.arange(examples) != i for i in range(examples)]
        return sum(np.sum((x[~at] @ head(log, at) - rest[~at]) ** 2) for at in out)

    best = min(LOG_STRENGTHS, key=error)
    np.testing.assert_allclose(found, start + head(best, slice(None)), rtol=1e-5)
    assert LOG_STRENGTHS[0] < best


def test_the_gradient_through_the_solve_is_that_of_finite_differences():
    with enable_x64(True):
        task = regression_task()
        learner = anil_solved(linear_head(), mean_squared_error, log_strength=-1.0)
        params = learner.init(KEY, task)
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        direction = jnp.asarray(np.random.default_rng(2).normal(size=flat.shape))

        @jax.jit
        def along(t):
            return learner.loss(unravel(flat + t * direction), task, KEY)[0]

        slope = jax.grad(along)(jnp.float64(0.0))
        measured = (along(1e-5) - along(-1e-5)) / 2e-5
    np.testing.assert_allclose(slope, measured, rtol=1e-6)


def test_a_trained_network_is_used_as_it_is_and_classes_are_told_apart():
    """Without a learned strength the meta-parameters are the network's own."""
    task, network = classification_task(dtype=jnp.float32), mlp([16], WAYS)
    learner = anil_solved(
        network, cross_entropy, inner="Dense_1", ways=WAYS, log_strength=None, scale=10.0
    )
    params = network.init(KEY, task.support.inputs)
    assert jax.tree.structure(learner.init(KEY, task)) == jax.tree.structure(params)
    head = jax.jit(learner.adapt)(params, task.support, KEY)
    assert set(head) == {"Dense_1/kernel", "Dense_1/bias"}
    outputs = learner.predict(params, head, task.support.inputs)
    start = 10 * network.apply(params, task.support.inputs)
    assert cross_entropy(outputs, task.support.targets) < cross_entropy(start, task.support.targets)


def test_what_cannot_be_is_rejected_by_name():
    with pytest.raises(ConfigError, match="ways"):
        anil_solved(mlp([8], 6), cross_entropy, ways=1)
    task = regression_task(dtype=jnp.float32)
    learner = anil_solved(mlp([8], 1), mean_squared_error, inner="no_such_layer")
    with pytest.raises(ConfigError, match="inner"):
        learner.init(KEY, task)
