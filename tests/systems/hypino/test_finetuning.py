"""Fine-tuning of one solution, and starts for it that are learned by Reptile."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Task, enable_x64
from metajax.learners import reptile
from metajax.systems.hypino import (
    adam,
    as_examples,
    as_network,
    equation_loss,
    finetune,
)
from pdes import COEFFICIENTS, QUADRATIC, TARGET, WEIGHTS, quadratic_problem

KEY = jax.random.key(0)


def problem():
    _, points = quadratic_problem()
    return as_examples(jnp.asarray(COEFFICIENTS), points)


@pytest.mark.slow
def test_lbfgs_finds_the_one_quadratic_that_solves_the_problem():
    with enable_x64(True):
        network = as_network(QUADRATIC)

        def tune(weights, given):
            return finetune(
                network, weights, given, optax.lbfgs(), steps=40, every=10, watch=jnp.sum
            )

        found = jax.jit(tune)(jnp.zeros(6), problem())
        np.testing.assert_allclose(found.weights, WEIGHTS, atol=1e-6)
        assert found.loss.shape == found.watched.shape == (4,)
        assert found.watched[0] == 0 and found.watched[-1] == pytest.approx(WEIGHTS.sum(), abs=1e-3)
        assert found.loss[0] > 1e3 * found.loss[-1]


def test_the_solution_itself_stays():
    """By plain descent: Adam makes whole steps of a gradient that is all rounding."""
    with enable_x64(True):
        rule = optax.sgd(0.01)
        network, given = as_network(QUADRATIC), problem()
        found = jax.jit(lambda w: finetune(network, w, given, rule, steps=5))(jnp.asarray(WEIGHTS))
        assert float(jnp.max(found.loss)) < 1e-20
        np.testing.assert_allclose(found.weights, WEIGHTS, atol=1e-10)


def test_several_networks_are_tuned_as_their_sum():
    """The loss of a sum sees the sum only, so both halves move alike."""
    with enable_x64(True):
        halves = jnp.stack([jnp.zeros(6), jnp.ones(6)])
        together, alone = as_network(QUADRATIC, many=True), as_network(QUADRATIC)
        given, rule = problem(), optax.sgd(0.01)
        found = jax.jit(lambda w: finetune(together, w, given, rule, steps=3).weights)(halves)
        np.testing.assert_allclose(found[1] - found[0], np.ones(6), atol=1e-12)
        # each half takes the whole gradient, so their sum moves at twice the rate
        sgd = optax.sgd(0.02)
        expected = jax.jit(lambda w: finetune(alone, w, given, sgd, steps=3).weights)(jnp.ones(6))
        np.testing.assert_allclose(found.sum(0), expected, atol=1e-12)


@pytest.mark.slow
def test_reptile_learns_a_start_from_problems():
    """Two problems with the same solution: the start moves towards it, and their losses fall."""
    network = as_network(TARGET)
    algorithm = reptile(network, equation_loss, optax.adam(1e-2), optax.sgd(1.0), steps=10)
    _, points = quadratic_problem()
    example = as_examples(jnp.asarray(COEFFICIENTS, jnp.float32), points)
    task = Task(example, example)
    tasks = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), task)
    state, update = jax.jit(algorithm.init)(KEY, task), jax.jit(algorithm.update)
    losses = []
    for _ in range(8):
        state, metrics = update(state, tasks, KEY)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.5 * losses[0]


def test_impossible_numbers_of_steps_are_refused():
    with enable_x64(True):
        network, start, given = as_network(QUADRATIC), jnp.zeros(6), problem()
        for steps, every in ((0, 1), (5, 2), (4, 0)):
            with pytest.raises(ConfigError, match="steps"):
                finetune(network, start, given, adam(1), steps=steps, every=every)
