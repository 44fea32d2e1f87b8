"""The online algorithm against the same thing written as a plain loop over tasks and steps."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import toy_problem
from metajax.bilevel import (
    estimate_theta,
    full_batches,
    hypergradient,
    minibatches,
    online,
)
from metajax.core import ConfigError, task_keys
from metajax.train import NonFiniteError, fit

KEY, NUM, STEPS = jax.random.key(0), 3, 6
OPTIONS = {"distilled": {"gamma": 0.9}}


@pytest.fixture(scope="module")
def tasks():
    return jax.jit(jax.vmap(toy_problem.make_tasks()))(jax.random.split(KEY, NUM))


def mean(trees):
    return jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *trees)


def by_loop(name, every, state, tasks):
    """One meta-step of full batches, task by task and window by window; returns its params."""
    problem, _, _ = toy_problem.inner_problem()
    estimator = hypergradient(name, **OPTIONS.get(name, {}))
    update = jax.jit(functools.partial(estimator.update, problem))
    optimizer = optax.adam(1e-2)
    hparams, start = state.params
    opt_state = state.opt_state
    one = [jax.tree.map(lambda leaf, i=i: leaf[i], tasks) for i in range(NUM)]
    keys = [task_keys(KEY, NUM)[i] for i in range(NUM)]
    calibration = ()
    if name == "distilled":
        thetas = []
        for task in one:
            first = problem.init(hparams, start)
            batches = full_batches(task.support, KEY, STEPS)
            thetas.append(
                estimate_theta(problem, hparams, first, batches, task.query, KEY, gamma=0.9)
            )
        calibration = mean(thetas)
    runs = [
        estimator.init(problem, hparams, start, task.support, key, calibration)
        for task, key in zip(one, keys, strict=True)
    ]
    for _ in range(STEPS // every):
        found = [
            update(
                memory,
                hparams,
                inner,
                full_batches(task.support, KEY, every),
                task.query,
                KEY,
            )
            for task, (memory, inner) in zip(one, runs, strict=True)
        ]
        runs = [(f.memory, f.state) for f in found]
        grads = mean([f.hypergradient for f in found])
        moves, opt_state = optimizer.update(grads, opt_state, hparams)
        hparams = optax.apply_updates(hparams, moves)
    ends = mean([inner.params for _, inner in runs])
    return hparams, start + 0.5 * (ends - start)


@pytest.mark.parametrize(("name", "every"), [("one_step", 1), ("unrolled", 3), ("distilled", 2)])
def test_a_meta_step_is_its_loop(name, every, tasks):
    """Full batches: the distilled batch is the batch whatever is drawn, so keys do not matter."""
    algorithm = toy_problem.make_online(name, every, **OPTIONS.get(name, {}))
    state = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], tasks))
    new, metrics = jax.jit(algorithm.update)(state, tasks, KEY)
    with jax.numpy_dtype_promotion("standard"):
        hparams, start = by_loop(name, every, state, tasks)
    # Adam divides by the gradient's size, so a rounding error in a small one shows
    for a, b in zip(jax.tree.leaves(new.params), jax.tree.leaves((hparams, start)), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)
    assert int(new.done) == 1 and metrics["loss"].shape == ()


def test_theta_is_fitted_when_its_turn_has_come(tasks):
    algorithm = toy_problem.make_online("distilled", gamma=0.9)  # every 3 meta-steps
    state = algorithm.init(KEY, jax.tree.map(lambda leaf: leaf[0], tasks))
    update, thetas = jax.jit(algorithm.update), [float(state.calibration)]
    for i in range(4):
        state, _ = update(state, tasks, jax.random.key(i))
        thetas.append(float(state.calibration))
    assert thetas[0] == 1.0 and thetas[1] != 1.0
    assert thetas[1] == thetas[2] == thetas[3] != thetas[4]


def test_tasks_in_turn_are_tasks_side_by_side(tasks):
    """Any number of tasks at once, one that does not divide them included."""
    state = toy_problem.make_online("one_step", 2).init(KEY, jax.tree.map(lambda x: x[0], tasks))
    results = [
        jax.jit(toy_problem.make_online("one_step", 2, tasks_at_once=num).update)(state, tasks, KEY)
        for num in (None, 1, 2)
    ]
    for result in results[1:]:
        chex.assert_trees_all_close(results[0], result, rtol=1e-5, atol=1e-6)


def mistakes(state, hparams, query):
    """The share of signs that are wrong: a number whatever the head, NaN included."""
    params = {"w": hparams["w"], "b": hparams["b"], "v": state.params}
    outputs = toy_problem.network(params, query[0].inputs)
    return jnp.mean((outputs > 0) != (query[0].targets > 0))


@pytest.mark.parametrize(
    ("name", "outer_loss"), [("distilled", None), ("one_step", None), ("first_order", mistakes)]
)
@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_inner_optimisations_that_diverge_are_reported_and_leave_nothing(policy, name, outer_loss):
    """A rate of e^40. Neither a count of mistakes nor first-order's zero gradient hides the head
    that Reptile would keep."""
    problem, init, _ = toy_problem.inner_problem()
    if outer_loss is not None:
        problem = problem._replace(outer_loss=outer_loss)

    def diverging(key, task):
        params = init(key, task)
        return params._replace(hparams=params.hparams | {"log_lr": jnp.float32(40)})

    algorithm = online(
        hypergradient(name),
        problem,
        optax.sgd(1e-3),
        init=diverging,
        inner_steps=6,
        every=6,
        reptile_rate=0.5,
    )
    run = functools.partial(
        fit,
        algorithm,
        toy_problem.make_tasks(),
        steps=3,
        tasks_per_step=2,
        key=KEY,
        on_nonfinite=policy,
        progress=False,
    )
    if policy == "stop":
        with pytest.raises(NonFiniteError, match="step 1 is not finite") as caught:
            run()
        state = caught.value.state
    else:
        result = run()
        state = result.state
        assert result.skipped == result.history[-1]["skipped"] == 3
    assert int(state.done) == 0
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(state))


def test_minibatches_come_from_the_examples():
    examples = (jnp.arange(10), jnp.arange(10) * 2)
    inputs, targets = minibatches(4)(examples, KEY, 100)
    assert inputs.shape == targets.shape == (100, 4)
    np.testing.assert_array_equal(targets, 2 * inputs)
    assert set(np.asarray(inputs).ravel().tolist()) == set(range(10))


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("inner_steps", {"inner_steps": 0}),
        ("every", {"every": 4}),
        ("calibrate_every", {"calibrate_every": 0}),
    ],
)
def test_sizes_that_do_not_fit_are_refused(field, change):
    problem, init, _ = toy_problem.inner_problem()
    settings = {"init": init, "inner_steps": 6} | change
    with pytest.raises(ConfigError, match=field):
        online(hypergradient("one_step"), problem, optax.sgd(0.1), **settings)
