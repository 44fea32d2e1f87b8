"""Meta-gradients against central differences and against loops written out in plain Python."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from few_shot import KEY, WAYS, classification_task, regression_task, smooth
from metajax.core import MetaLearner, enable_x64
from metajax.learners import (
    anil,
    cavia,
    cross_entropy,
    maml,
    matching,
    mean_squared_error,
    meta_sgd,
    prototypical,
    ridge,
)

STEPS, LR = 3, 0.3
NETWORK, ONE = smooth(), optax.sgd(1.0)


def mse(params, examples):
    return jnp.mean((NETWORK.apply(params, examples.inputs) - examples.targets) ** 2)


def by_hand(params, task, *, rates, weights=(0, 0, 1), trace=0.0):
    """The weighted query losses of gradient descent with momentum; ``rates(step)`` of each step."""
    total, start = 0.0, params
    momentum = jax.tree.map(jnp.zeros_like, start)
    for step in range(STEPS):
        grads = jax.grad(mse)(params, task.support)
        momentum = jax.tree.map(lambda m, g: trace * m + g, momentum, grads)
        params = jax.tree.map(lambda p, r, m: p - r * m, params, rates(step, start), momentum)
        total += weights[step] * mse(params, task.query)
    return total


def same_rate(step, params):
    return jax.tree.map(lambda p: jnp.full_like(p, LR), params)


def momentum_by_hand(params, task):
    return by_hand(params, task, rates=same_rate, trace=0.9)


def adam_by_hand(params, task):
    first, second = (jax.tree.map(jnp.zeros_like, params) for _ in range(2))
    for step in range(1, STEPS + 1):
        grads = jax.grad(mse)(params, task.support)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, second, grads)
        params = jax.tree.map(
            lambda p, m, v, t=step: (
                p - LR * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t) + 1e-6) + 1e-8)
            ),
            params,
            first,
            second,
        )
    return mse(params, task.query)


def head_alone(params, task):
    head = params["layer_1"]
    for _ in range(STEPS):
        grads = jax.grad(lambda head: mse({**params, "layer_1": head}, task.support))(head)
        head = jax.tree.map(lambda p, g: p - LR * g, head, grads)
    return mse({**params, "layer_1": head}, task.query)


def context_alone(params, task):
    def loss(context, examples):
        rows = [jnp.concatenate([row, context]) for row in examples.inputs]
        return jnp.mean((NETWORK.apply(params, jnp.stack(rows)) - examples.targets) ** 2)

    context = jnp.zeros(3, task.query.inputs.dtype)
    for _ in range(STEPS):
        context = context - LR * jax.grad(loss)(context, task.support)
    return loss(context, task.query)


class Case(NamedTuple):
    learner: MetaLearner
    task: Callable[[], Any] = regression_task
    reference: Callable[..., Any] | None = None


def descends(optimizer, **options):
    return maml(NETWORK, mean_squared_error, optimizer, steps=STEPS, **{"unroll": 1, **options})


MOMENTUM = optax.sgd(LR, momentum=0.9)
CASES = {
    "momentum": Case(descends(MOMENTUM, unroll=2), reference=momentum_by_hand),
    "momentum-rematerialised": Case(descends(MOMENTUM, remat_every=2), reference=momentum_by_hand),
    "adam": Case(descends(optax.adam(LR, eps_root=1e-6)), reference=adam_by_hand),
    "step-weights": Case(
        descends(optax.sgd(LR), step_weights=np.array([0.5, 0.2, 0.3])),
        reference=lambda p, t: by_hand(p, t, rates=same_rate, weights=(0.5, 0.2, 0.3)),
    ),
    "rates-per-step": Case(
        descends(ONE, rates="per_step", rate=LR),
        reference=lambda p, t: by_hand(
            p.params, t, rates=lambda step, _: jax.tree.map(lambda r: r[step], p.rates)
        ),
    ),
    "meta-sgd": Case(
        meta_sgd(NETWORK, mean_squared_error, ONE, steps=STEPS, rate=LR, unroll=1),
        reference=lambda p, t: by_hand(p.params, t, rates=lambda step, _: p.rates),
    ),
    "anil": Case(
        anil(NETWORK, mean_squared_error, optax.sgd(LR), steps=STEPS, inner="layer_1", unroll=1),
        reference=head_alone,
    ),
    "cavia": Case(
        cavia(NETWORK, mean_squared_error, optax.sgd(LR), steps=STEPS, context_size=3, unroll=1),
        reference=context_alone,
    ),
    "ridge-few": Case(ridge(smooth(8), mean_squared_error)),
    "ridge-many": Case(ridge(smooth(2), cross_entropy, ways=WAYS), classification_task),
    "prototypical": Case(prototypical(smooth(3), ways=WAYS), classification_task),
    "matching": Case(matching(smooth(3), ways=WAYS), classification_task),
}


def flattened(tree):
    """All leaves as one vector, and how to take it apart, on the host: nothing is compiled."""
    leaves, structure = jax.tree.flatten(tree)
    ends = np.cumsum([np.size(leaf) for leaf in leaves])

    def apart(flat):
        parts = np.split(flat, ends[:-1])
        shaped = [part.reshape(np.shape(leaf)) for part, leaf in zip(parts, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    return np.concatenate([np.ravel(leaf) for leaf in leaves]), apart


@functools.cache
def compiled(reference):
    return jax.jit(reference)


@pytest.mark.parametrize("name", CASES)
def test_the_meta_gradient_is_that_of_differences(name):
    """Of the loss written out by hand where there is one."""
    learner, make_task, reference = CASES[name]
    with enable_x64(True):
        task = make_task()
        params = jax.jit(learner.init)(KEY, task)
        # away from where all rates are the same
        draw = np.random.default_rng(1)
        params = jax.tree.map(lambda p: np.float64(p) + 0.05 * draw.normal(size=p.shape), params)
        flat, unravel = flattened(params)
        value_and_grad = jax.jit(jax.value_and_grad(learner.loss, has_aux=True))
        (value, _), grads = value_and_grad(params, task, KEY)
        found, _ = flattened(grads)
        assert np.linalg.norm(found) > 1e-4

        def loss(flat):
            params = unravel(flat)
            if reference is None:
                return value_and_grad(params, task, KEY)[0][0]
            return compiled(reference)(params, task)

        np.testing.assert_allclose(value, loss(flat), rtol=1e-9)
        step = 1e-5
        for direction in draw.normal(size=(4, flat.size)):
            ahead, behind = (loss(flat + sign * step * direction) for sign in (1, -1))
            np.testing.assert_allclose(
                found @ direction, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-9
            )
