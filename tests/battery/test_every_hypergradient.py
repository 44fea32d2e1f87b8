"""Every hypergradient estimator through the same contract; a new one joins by its name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from metajax.bilevel import ESTIMATORS, descend, estimate, hypergradient

STEPS, EXAMPLES = 6, 4
OPTIONS = {"es": {"pairs": 2}, "pes": {"pairs": 2}, "neumann": {"terms": 4}}


def error(params, batch):
    inputs, targets = batch
    return jnp.mean((jnp.tanh(inputs @ params["w"]) + params["b"] - targets) ** 2)


def inner_loss(params, hparams, batch):
    inputs, targets = batch
    losses = (jnp.tanh(inputs @ params["w"]) + params["b"] - targets) ** 2
    weights = jax.nn.sigmoid(losses[:, None] * hparams["weigh"][None])  # a loss-weighting network
    decay = jnp.sum(jnp.exp(hparams["decay"]) * params["w"] ** 2)
    return jnp.mean(weights[:, 0] * losses) + decay


def problem():
    def rate(hparams):
        return jnp.exp(hparams["log_lr"])

    return descend(
        inner_loss,
        lambda params, hparams, batch: error(params, batch),
        lambda hparams: optax.adam(rate(hparams), eps_root=1e-6),
    )


@functools.cache
def arguments():
    keys = jax.random.split(jax.random.key(0), 4)
    inputs = jax.random.normal(keys[0], (STEPS, EXAMPLES, 3))
    batches = (inputs, jnp.sin(inputs[..., 0]))
    outer = (inputs[0] + 0.5, jnp.cos(inputs[0, :, 1]))
    start = {"w": jax.random.normal(keys[1], (3,)), "b": jnp.float32(0)}
    hparams = {"decay": jnp.full(3, -2.0), "log_lr": jnp.float32(-3.0), "weigh": jnp.ones(1)}
    return hparams, start, batches, outer


@pytest.fixture(params=list(ESTIMATORS))
def estimator(request):
    return hypergradient(request.param, **OPTIONS.get(request.param, {}))


@functools.cache
def compiled(name):
    """Everything that the estimator finds, compiled once for all tests."""
    estimator = hypergradient(name, **OPTIONS.get(name, {}))
    return jax.jit(functools.partial(estimate, estimator, problem()))


def test_the_result_is_shaped_like_the_hyperparameters(estimator):
    hparams, *rest = arguments()
    found = compiled(estimator.name)(hparams, *rest).hypergradient
    assert jax.tree.structure(found) == jax.tree.structure(hparams)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(hparams), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype) and np.all(np.isfinite(a))


def test_the_steps_are_run_as_they_are(estimator):
    """Whatever is estimated, the state and the outer loss are those of the plain inner loop."""
    hparams, start, batches, outer = arguments()
    found = compiled(estimator.name)(*arguments())
    state = problem().init(hparams, start)
    for i in range(STEPS):
        state = problem().update(state, hparams, jax.tree.map(lambda x, i=i: x[i], batches))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5), found.state, state)
    loss = problem().outer_loss(state, hparams, outer)
    np.testing.assert_allclose(found.outer_loss, loss, rtol=1e-5)


def test_a_batch_of_problems_equals_a_loop(estimator):
    hparams, *rest = arguments()
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf + 0.1, leaf - 0.2]), hparams)
    function = compiled(estimator.name)
    batched = jax.jit(jax.vmap(lambda h: function(h, *rest).hypergradient))(many)
    for i in range(3):
        one = function(jax.tree.map(lambda leaf, i=i: leaf[i], many), *rest).hypergradient
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=2e-3, atol=2e-5),
            batched,
            one,
        )


def test_nothing_recompiles_for_a_value(estimator):
    """Other hyperparameters, learning rates included, meet the same program."""
    function = compiled(estimator.name)
    hparams, *rest = arguments()
    function(hparams, *rest)
    before = function._cache_size()
    function(jax.tree.map(lambda leaf: leaf * 0.5, hparams), *rest)
    assert function._cache_size() == before


def test_the_memory_keeps_its_shape_from_window_to_window(estimator):
    """So that it is state of a compiled loop, and can be saved."""
    hparams, start, batches, outer = arguments()
    key = jax.random.key(1)

    def shapes(tree):
        return jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)

    first = jax.tree.map(lambda leaf: leaf[0], batches)
    init = functools.partial(estimator.init, problem())
    memory, state = jax.eval_shape(init, hparams, start, first, key, estimator.calibration)
    found = jax.eval_shape(
        functools.partial(estimator.update, problem()),
        memory,
        hparams,
        state,
        batches,
        outer,
        key,
    )
    assert shapes((memory, state)) == shapes((found.memory, found.state))


@pytest.mark.parametrize("name", ["es", "pes"])
def test_those_that_draw_follow_their_key(name):
    hparams, *rest = arguments()
    function = compiled(name)
    values = [
        function(hparams, *rest, key=jax.random.key(k)).hypergradient["decay"] for k in (0, 0, 1)
    ]
    np.testing.assert_array_equal(values[0], values[1])
    assert np.any(values[0] != values[2])
