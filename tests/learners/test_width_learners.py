"""Networks of any width: what comes before the function, and networks trained alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.core import ConfigError, Examples, Task, cross_entropy, gradient, prepare_optimizer
from metajax.learners import (
    VariedNetwork,
    corrected_slimmable,
    metamorphosis,
    networks_alone,
    pruned_network,
    slimmable_network,
)
from metajax.nn import mlp
from metajax.units import keep_first, keep_largest, mlp_units, path_length, unit_rows

RNG = np.random.default_rng(0)
INPUTS = RNG.standard_normal((6, 5)).astype(np.float32)
QUERY = Examples(jnp.asarray(INPUTS), jnp.arange(6, dtype=jnp.int32) % 3)
KEY = jax.random.key(0)
TASK = Task(jnp.int32(4), QUERY)
WIDTHS = (2, 4)


def make(width):
    return mlp((4, width, 4), 3)


def test_networks_of_their_own_are_trained_as_each_would_be_alone():
    learner = networks_alone(make, WIDTHS)
    tasks = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), TASK)
    algorithm = gradient(learner, optax.adam(1e-2))
    state = algorithm.init(jax.random.key(0), TASK)
    starts = algorithm.params(state)
    update = jax.jit(algorithm.update)
    for step in range(2):
        state, _ = update(state, tasks, jax.random.key(step))
    found = algorithm.params(state)
    for at, width in enumerate(WIDTHS):
        network, rule = make(width), prepare_optimizer(optax.adam(1e-2), has_function=False)
        params = jax.tree.map(lambda leaf: leaf[0], starts[at])
        memory = rule.init(params)

        def loss(params, network=network):
            return cross_entropy(network.apply(params, QUERY.inputs), QUERY.targets)

        for _ in range(2):
            updates, memory = rule.update(jax.jit(jax.grad(loss))(params), memory)
            params = optax.apply_updates(params, updates)
        jax.tree.map(
            lambda own, alone: np.testing.assert_allclose(own[0], alone, rtol=1e-4, atol=1e-6),
            found[at],
            params,
        )
        adapted = learner.adapt(found, jnp.int32(width), jax.random.key(0))
        np.testing.assert_allclose(
            learner.predict(found, adapted, QUERY.inputs),
            network.apply(params, QUERY.inputs),
            rtol=1e-4,
            atol=1e-5,
        )
    with pytest.raises(ConfigError) as raised:
        networks_alone(make, ())
    assert raised.value.field == "widths"


def start(key):
    return make(4).init(key, INPUTS)


UNITS = mlp_units(jax.eval_shape(start, jax.random.key(0)))
VARIED = VariedNetwork(make(4), start, UNITS, "h1")


def test_the_mean_over_draws_without_noise_is_the_plain_evaluation_and_varies_less_than_one():
    def adapting(noise, draws):
        options = {"hidden": 4, "depth": 1, "noise": noise, "draws": draws}
        learner = metamorphosis(VARIED, **options).widths
        params = learner.init(jax.random.key(0), TASK)
        adapt = jax.jit(learner.adapt)
        return lambda seed: adapt(params, jnp.int32(3), jax.random.key(seed))["Dense_1"]["kernel"]

    plain = adapting(0.0, 5)(0)
    np.testing.assert_allclose(adapting(1e-9, 5)(0), plain, rtol=1e-5, atol=1e-6)
    one, many = adapting(0.5, 1), adapting(0.5, 20)
    spread = [np.std([draw(seed) for seed in range(8)], axis=0).mean() for draw in (one, many)]
    assert 0 < spread[1] < spread[0] / 2  # 1 / sqrt(20) in the limit


def test_the_first_stage_ends_with_units_in_an_order_that_is_no_longer():
    network = make(4)
    parts = metamorphosis(VARIED, hidden=4, depth=1)
    stage = parts.stages([1, 1, 1])[0]
    params = parts.full.init(jax.random.key(0), TASK)
    found = jax.jit(stage.finish)(params)
    rows = [unit_rows(each.full, UNITS, "h1") for each in (params, found)]
    order = jnp.arange(4, dtype=jnp.int32)
    before, after = (float(path_length(each, order)) for each in rows)
    assert after < before
    np.testing.assert_allclose(
        *(network.apply(each.full, INPUTS) for each in (params, found)), atol=1e-5
    )
    unordered = metamorphosis(VARIED, hidden=4, depth=1, smooth=False)
    assert unordered.stages([1, 1, 1])[0].finish is None


def test_what_is_not_generated_moves_at_all_widths_too_unless_it_is_asked_to_stay():
    params = jax.eval_shape(metamorphosis(VARIED).full.init, KEY, TASK)

    def moving(stage, **options):
        parts = metamorphosis(VARIED, **options)
        paths = jax.tree.leaves_with_path(parts.trained(stage)(params).full)
        return {
            jax.tree_util.keystr(at, simple=True, separator="/") for at, moves in paths if moves
        }

    of_units = {"Dense_1/kernel", "Dense_1/bias", "Dense_2/kernel"}
    every = {f"Dense_{layer}/{part}" for layer in range(4) for part in ("kernel", "bias")}
    assert [moving(stage) for stage in range(3)] == [every, set(), every - of_units]
    assert moving(2, rest=False) == set()


def test_the_average_is_that_of_the_last_stage():
    parts = metamorphosis(VARIED, hidden=2, depth=1)
    algorithm = parts.algorithm((1, 1, 2), [optax.sgd(0.1)] * 3, 0.9)
    update, state = jax.jit(algorithm.update), jax.jit(algorithm.init)(KEY, TASK)
    batch = jax.tree.map(lambda leaf: leaf[None], TASK)
    for step in range(4):
        state, _ = update(state, batch, jax.random.key(step))
        both = algorithm.params(state), state.state.params
        mean, now = (params.full["Dense_3"]["kernel"] for params in both)
        assert np.array_equal(mean, now) == (step < 2)


def test_a_width_has_units_of_one_network_to_which_a_correction_adds_nothing_at_first():
    def adapted(learner, width):
        params = jax.jit(learner.init)(KEY, TASK)
        return params, jax.jit(learner.adapt)(params, jnp.int32(width), KEY)

    def assert_equal(found, wanted):
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other), found, wanted)

    params, found = adapted(slimmable_network(VARIED), 2)
    assert_equal(found, keep_first(params, UNITS, {"h1": 2}))
    learner = corrected_slimmable(VARIED, hidden=2, depth=1)
    params, found = adapted(learner, 3)
    assert_equal(found, keep_first(params["shared"], UNITS, {"h1": 3}))
    for keep in (keep_first, keep_largest):
        params, found = adapted(pruned_network(VARIED, keep), 2)
        assert_equal(found, keep(params, UNITS, {"h1": 2}))
