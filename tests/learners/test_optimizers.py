"""Optimizers that need more than a gradient, in inner loops and outside of them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import classification_task, regression_task, smooth
from metajax import learners
from metajax.bilevel import (
    OnlineParams,
    descend,
    estimate,
    evaluate_hypergradient,
    hypergradient,
    online,
    online_run,
)
from metajax.core import ConfigError, enable_x64, gradient
from metajax.systems.hypino import finetuning

KEY = jax.random.key(0)
LOSS = learners.mean_squared_error
LINE_SEARCH = optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(10))
PLATEAU = optax.chain(optax.sgd(0.05), optax.contrib.reduce_on_plateau(patience=1))


def tasks(num=2):
    return jax.tree.map(
        lambda *x: np.stack(x), *(regression_task(n, dtype=jnp.float32) for n in range(num))
    )


def trained(algorithm, steps=10):
    state = jax.jit(algorithm.init)(KEY, regression_task(dtype=jnp.float32))
    update, losses = jax.jit(algorithm.update), []
    for _ in range(steps):
        state, metrics = update(state, tasks(), KEY)
        losses.append(float(metrics["loss"]))
    return losses


def test_a_learner_adapts_by_a_line_search_and_is_meta_trained_where_none_is_differentiated():
    inner = LINE_SEARCH
    algorithm = learners.reptile(smooth(), LOSS, inner, optax.sgd(0.5), steps=2)
    losses = trained(algorithm)
    assert losses[-1] < losses[0]
    learner = learners.maml(smooth(), LOSS, optax.lbfgs(memory_size=1), steps=2)
    with pytest.raises(ConfigError, match=r"loop of unknown length.*line search.*reptile"):
        algorithm = gradient(learner, optax.sgd(0.1))
        state = jax.eval_shape(algorithm.init, KEY, regression_task(dtype=jnp.float32))
        jax.eval_shape(algorithm.update, state, tasks(), KEY)


@pytest.mark.parametrize("inner", [optax.polyak_sgd(0.1), PLATEAU], ids=["polyak", "plateau"])
def test_maml_through_inner_steps_that_need_the_loss(inner):
    learner = learners.maml(smooth(), LOSS, inner, steps=2, unroll=1)
    losses = trained(gradient(learner, optax.adam(1e-2)))
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["reptile", "evolution"])
def test_the_loss_reaches_the_outer_optimizers_of_all_algorithms(name):
    """The best loss that the plateau has seen is the best of those reported."""
    inner = learners.maml(smooth(), LOSS, optax.sgd(0.1), steps=1)
    algorithm = {
        "reptile": lambda: learners.reptile(smooth(), LOSS, optax.sgd(0.1), PLATEAU, steps=2),
        "evolution": lambda: learners.evolution(inner, PLATEAU, pairs=2),
    }[name]()
    state = jax.jit(algorithm.init)(KEY, regression_task(dtype=jnp.float32))
    update, losses = jax.jit(algorithm.update), []
    for _ in range(4):
        state, metrics = update(state, tasks(), KEY)
        losses.append(float(metrics["loss"]))
    assert float(state.opt_state[1].best_value) == min(losses)


def fitted(w, hparams, batch):
    return jnp.sum((w - jnp.exp(hparams)) ** 2) / 2


def scored(w, hparams, batch):
    return jnp.sum((w - 2) ** 2) / 2


@pytest.mark.parametrize("make", [online, online_run])
def test_what_needs_the_outer_loss_as_a_function_is_refused_before_a_run(make):
    options = {"inner_steps": 2} if make is online else {}

    def init(key, task):
        return OnlineParams(jnp.float32(0), jnp.zeros(2))

    task = classification_task(dtype=jnp.float32)
    for optimizer, refused in ((optax.lbfgs(), True), (PLATEAU, False)):
        algorithm = make(
            hypergradient("one_step"),
            descend(fitted, scored, optax.sgd(0.1)),
            optimizer,
            init=init,
            **options,
        )
        if refused:
            with pytest.raises(ConfigError, match=r"optimizer = .*value_fn"):
                algorithm.init(KEY, task)
        else:
            jax.eval_shape(algorithm.init, KEY, task)


TOLERANCE = {"forward": 1e-3, "conjugate_gradient": 1e-3, "first_order": 0.0, "es": 0.5}


@pytest.mark.parametrize(
    "name", ["unrolled", "one_step", "drmad", "neumann", "distilled", *TOLERANCE]
)
def test_a_line_search_inside_serves_estimators_that_need_no_reverse_derivative(name):
    problem = descend(fitted, scored, LINE_SEARCH)
    arguments = jnp.float32(0.2), jnp.zeros(2), jnp.ones((4, 3, 1)), ()
    options = {"es": {"pairs": 64, "sigma": 0.01}}.get(name, {})
    if name not in TOLERANCE:
        with pytest.raises(ConfigError, match=r"problem.update.*line search.*conjugate_gradient"):
            evaluate_hypergradient(hypergradient(name, **options), problem, *arguments)
        return
    estimator = hypergradient(name, **options)
    found = jax.jit(lambda *given: estimate(estimator, problem, *given))(*arguments)
    np.testing.assert_allclose(found.state.params, np.exp(0.2), rtol=1e-3)
    exact = 2 * (np.exp(0.2) - 2) * np.exp(0.2) if name != "first_order" else 0
    np.testing.assert_allclose(found.hypergradient, exact, rtol=TOLERANCE[name])


@pytest.mark.parametrize("wrong", [optax.adam, 0.1, optax.contrib.dpsgd(0.1, 1.0, 0.1, 0)])
def test_an_inner_optimizer_that_is_none_is_refused_by_name(wrong):
    with pytest.raises(ConfigError, match="the inner optimizer = "):
        learner = learners.maml(smooth(), LOSS, wrong, steps=1)
        task = regression_task(dtype=jnp.float32)
        learner.adapt(learner.init(KEY, task), task.support, KEY)


def test_finetuning_refuses_an_optimizer_by_name():
    with enable_x64(False), pytest.raises(ConfigError, match="optimizer = "):
        task, start = regression_task(dtype=jnp.float32), {"w": jnp.zeros(2), "b": jnp.zeros(2)}
        private = optax.contrib.dpsgd(0.1, 1.0, 0.1, 0)
        finetuning.finetune(smooth(), start, task.support, private, steps=1)
