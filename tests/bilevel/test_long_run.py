"""One long run in windows, against the same thing written as a plain loop over inner steps."""

import functools
import logging
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import register_dataclass

from metajax.bilevel import (
    ESTIMATORS,
    OnlineParams,
    descend,
    evaluate_hypergradient,
    hypergradient,
    online_run,
)
from metajax.core import ConfigError, Evaluator, Task, digest
from metajax.train import NonFiniteError, fit

KEY, EVERY = jax.random.key(0), 4
OPTIONS = {"es": {"pairs": 2}, "pes": {"pairs": 2}, "neumann": {"terms": 3}}


@register_dataclass
@dataclass(frozen=True)
class Batches:
    """A batch of one data set to fit, and one to score, drawn anew for each inner step."""

    inputs: jax.Array
    targets: jax.Array

    def __call__(self, key) -> Task:
        rows = jax.random.randint(key, (2, 8), 0, self.inputs.shape[0])
        batches = [(self.inputs[some], self.targets[some]) for some in rows]
        return Task(*batches)


def make_batches() -> Batches:
    inputs = jax.random.normal(jax.random.key(5), (64, 3))
    return Batches(inputs, jnp.sin(2 * inputs[:, :1]) + inputs[:, 1:2])


def error(params, hparams, batch):
    inputs, targets = batch
    return jnp.mean((jnp.tanh(inputs @ params["first"]) @ params["last"] - targets) ** 2)


def make_problem(loss=error, scale=1.0):
    """SGD with momentum and a learning rate for each layer, ``scale`` times its hyperparameter."""

    def optimizer(hparams):
        times_rate = optax.stateless(
            lambda moves, _: {k: -scale * jnp.exp(hparams[k]) * m for k, m in moves.items()}
        )
        return optax.chain(optax.trace(0.9), times_rate)

    return descend(loss, loss, optimizer)


@jax.jit
def start_of(key):
    draw = 0.5 * jax.random.normal(key, (4, 6))
    return {"first": draw[:3], "last": draw[3:].T}


def init(key, task):
    return OnlineParams({"first": jnp.float32(-5), "last": jnp.float32(-5)}, start_of(key))


def make(name="distilled", problem=None, **options):
    estimator = hypergradient(name, **{**OPTIONS.get(name, {}), **options})
    return online_run(estimator, problem or make_problem(), optax.adam(3e-2), init=init)


@functools.cache
def windows(num):
    """The data of so many windows."""
    tasks = jax.jit(jax.vmap(make_batches()))(jax.random.split(jax.random.key(7), num * EVERY))
    parts = [slice(i * EVERY, (i + 1) * EVERY) for i in range(num)]
    return [jax.tree.map(lambda leaf, part=part: leaf[part], tasks) for part in parts]


@pytest.mark.parametrize("name", ["one_step", "distilled"])
def test_a_run_is_its_loop(name):
    """Steps one by one with optax; the hypergradients from their definitions by jax.grad."""
    gamma, theta, parts = 0.5, 0.7, windows(3)
    algorithm = make(name, **({"gamma": gamma, "theta": theta} if name == "distilled" else {}))
    # one batch for all steps, so that whatever examples are mixed into D* it is that batch
    if name == "distilled":
        support = jax.tree.map(lambda leaf: leaf[0], parts[0].support)

        def repeat(leaf):
            return jnp.broadcast_to(leaf, (EVERY, *leaf.shape))

        parts = [part._replace(support=jax.tree.map(repeat, support)) for part in parts]
    task = jax.tree.map(lambda leaf: leaf[0], parts[0])
    state = first = algorithm.init(KEY, task)
    update = jax.jit(algorithm.update)
    for i, part in enumerate(parts):
        state, metrics = update(state, part, jax.random.key(i))

    problem, optimizer = make_problem(), optax.adam(3e-2)
    step = jax.jit(problem.update)

    @jax.jit
    @jax.value_and_grad
    def outer(inner, queries):
        one = [jax.tree.map(lambda leaf, i=i: leaf[i], queries) for i in range(EVERY)]
        return sum(problem.outer_loss(inner, {}, query) for query in one) / EVERY

    @jax.jit
    def indirect(inner, hparams, batch, alpha):
        return jax.vjp(lambda h: problem.update(inner, h, batch), hparams)[1](alpha)[0]

    hparams, inner = first.hparams, first.inner
    opt_state, star, t = optimizer.init(hparams), inner, 0
    for part in parts:
        for i in range(EVERY):
            t += 1
            p = 0.0 if t == 1 else (gamma - gamma**t) / (1 - gamma**t)
            star = jax.tree.map(lambda a, b, p=p: p * a + (1 - p) * b, star, inner)
            batch, before = jax.tree.map(lambda leaf, i=i: leaf[i], part.support), inner
            inner = step(inner, hparams, batch)

        loss, alpha = outer(inner, part.query)
        where, scale = before, 1.0
        if name == "distilled":
            where, scale = star, theta * (1 - gamma**t) / (1 - gamma)
        grads = jax.tree.map(lambda g, s=scale: s * g, indirect(where, hparams, batch, alpha))
        with jax.numpy_dtype_promotion("standard"):
            moves, opt_state = optimizer.update(grads, opt_state, hparams)
        hparams = optax.apply_updates(hparams, moves)
    assert int(state.done) == 3 * EVERY
    found, expected = (state.hparams, state.inner), (hparams, inner)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-4)
    np.testing.assert_allclose(metrics["grad_norm"], optax.tree.norm(grads), rtol=2e-3)
    params = algorithm.params(state)
    assert params.hparams is state.hparams and params.params is state.inner.params


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_every_estimator_joins(name):
    """Hyperparameters move where the estimator sees rates: first-order looks at no step, and
    conjugate gradients at a minimum, which is the same at any rate."""
    algorithm = make(name)
    tasks = windows(2)
    state = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], tasks[0]))
    update = jax.jit(algorithm.update)
    for i, part in enumerate(tasks):
        state, metrics = update(state, part, jax.random.key(i))
    assert np.isfinite(metrics["loss"]) and np.isfinite(metrics["grad_norm"])
    moved = [float(value) != -5.0 for value in state.hparams.values()]
    assert all(moved) if name not in ("first_order", "conjugate_gradient") else not any(moved)
    assert update._cache_size() == 1


def test_forward_windows_give_the_exact_hypergradient_of_all_steps_so_far():
    """With the hyperparameters held still: nothing is forgotten from window to window."""
    algorithm = online_run(hypergradient("forward"), make_problem(), optax.sgd(0.0), init=init)
    parts = windows(3)
    state = first = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], parts[0]))
    update = jax.jit(algorithm.update)
    for i, part in enumerate(parts):
        state, metrics = update(state, part, jax.random.key(i))
    batches = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *[p.support for p in parts])
    query = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), parts[-1].query)
    exact = evaluate_hypergradient(
        hypergradient("unrolled"), make_problem(), first.hparams, first.inner.params, batches, query
    )
    np.testing.assert_allclose(metrics["grad_norm"], optax.tree.norm(exact), rtol=1e-4)


def fitted(tmp_path=None, evaluators=(), **options):
    return fit(
        make(),
        make_batches(),
        steps=12,
        tasks_per_step=EVERY,
        key=KEY,
        log_every=3,
        progress=False,
        workdir=tmp_path,
        checkpoint_every=4,
        evaluators=evaluators,
        **options,
    )


class Stop(Exception):
    pass


def test_a_resumed_run_is_the_run_never_stopped(tmp_path, caplog):
    """Bit for bit: weights, momenta, hyperparameters, w*, D*."""
    calls = []

    def stop(params, key):
        calls.append(params)
        if len(calls) == 3:
            raise Stop
        return {}

    with pytest.raises(Stop):  # at step 6, after the checkpoint of step 4
        fitted(tmp_path, [Evaluator("stop", 2, stop)])
    with caplog.at_level(logging.INFO, "metajax"):
        resumed = fitted(tmp_path, [Evaluator("stop", 2, stop)])
    assert "resuming from the checkpoint at step 4" in caplog.text
    whole = fitted()
    assert digest(resumed.state) == digest(whole.state)
    assert int(whole.state.done) == 12 * EVERY


def test_the_rates_grow_from_a_guess_far_too_small():
    """And the loss is below that of the guess held still, by far."""
    results = {}
    for name in ("distilled", "first_order"):
        results[name] = fit(
            make(name, make_problem(scale=0.1)),
            make_batches(),
            steps=300,
            tasks_per_step=EVERY,
            key=KEY,
            progress=False,
        )
    held = results["first_order"]
    assert all(float(value) == -5.0 for value in held.params.hparams.values())
    assert all(float(value) > -4.0 for value in results["distilled"].params.hparams.values())
    assert results["distilled"].history[-1]["loss"] < 0.5 * held.history[-1]["loss"]


def mistakes(params, hparams, batch):
    """The share of signs that are wrong: a number whatever the weights, NaN included."""
    outputs = jnp.tanh(batch[0] @ params["first"]) @ params["last"]
    return jnp.mean((outputs > 0) != (batch[1] > 0))


@pytest.mark.parametrize(("name", "outer_loss"), [("distilled", error), ("es", mistakes)])
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_a_run_that_diverges_is_reported_and_its_last_finite_state_kept(policy, name, outer_loss):
    """A rate so large that the decay multiplies the weights, in the end beyond any number."""

    def decayed(params, hparams, batch):
        return error(params, hparams, batch) + optax.tree.norm(params, squared=True)

    problem = make_problem(decayed, 1e4)._replace(
        outer_loss=lambda state, hparams, batch: outer_loss(state.params, hparams, batch)
    )

    def run():
        return fit(
            make(name, problem),
            make_batches(),
            steps=8,
            tasks_per_step=EVERY,
            key=KEY,
            progress=False,
            log_every=1,
            on_nonfinite=policy,
        )

    if policy == "stop":
        seen = "loss = nan" if outer_loss is mistakes else "is not finite"
        with pytest.raises(NonFiniteError, match=seen) as caught:
            run()
        state = caught.value.state
    else:
        result = run()
        state = result.state
        assert result.skipped == 8 - int(state.done) // EVERY > 0
        assert result.history[-1]["skipped"] == result.skipped
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state))


@pytest.mark.parametrize("parallel", ["jit", "pmap"])
def test_several_devices_are_refused(parallel):
    with pytest.raises(ConfigError, match=r"parallel.*none.*online"):
        fitted(parallel=parallel, devices=jax.devices()[:2])


def test_hyperparameters_that_set_the_initial_state_are_refused():
    problem = descend(
        error,
        error,
        optax.sgd(0.1),
        init=lambda hparams, start: jax.tree.map(lambda p: hparams["first"] * p, start),
    )
    with pytest.raises(ConfigError, match=r"hparams\['first'\].*with online"):
        make("one_step", problem).init(KEY, make_batches()(KEY))


def test_what_the_checks_refuse_is_refused_before_a_step():
    problem = make_problem()._replace(update=lambda s, h, b: s._replace(opt_state=()))
    with pytest.raises(ConfigError, match="update"):
        make("one_step", problem).init(KEY, make_batches()(KEY))


def test_an_outer_loss_may_need_no_data():
    problem = make_problem()._replace(
        outer_loss=lambda s, h, b: optax.tree.norm(s.params, squared=True)
    )
    algorithm, (part,) = make("one_step", problem), windows(1)
    state = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], part))
    new, metrics = jax.jit(algorithm.update)(state, part._replace(query=()), KEY)
    norm = optax.tree.norm(new.inner.params, squared=True)
    np.testing.assert_allclose(metrics["loss"], norm, rtol=1e-6)
