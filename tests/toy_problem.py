"""A small real meta-learning problem: linear maps fitted by one gradient step from a learned start.

Shared by the tests and by the processes that they start.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import optax
from jax.tree_util import register_dataclass

from metajax.bilevel import (
    OnlineParams,
    descend,
    hypergradient,
    inner_learner,
    online,
    random_search,
)
from metajax.core import Algorithm, Examples, MetaLearner, Task, derive, gradient, task_keys

FEATURES, WIDTH, POOL = 4, 8, 600


@register_dataclass
@dataclass(frozen=True)
class LinearTasks:
    """Rows of a fixed pool and a random linear map of them; one chosen key gives a broken task."""

    pool: jax.Array
    broken_key: jax.Array

    def __call__(self, key) -> Task:
        draw = jax.random.uniform(key, (FEATURES + 12,))  # one draw: quick to compile
        inputs = self.pool[(draw[FEATURES:] * POOL).astype(jnp.int32)]
        targets = inputs @ (1 + draw[:FEATURES, None])
        broken = jnp.all(jax.random.key_data(key) == self.broken_key)
        return Task(Examples(inputs[:6], targets[:6]), (Examples(inputs[6:], targets[6:]), broken))


def make_tasks(run_key=None, broken_step: int | None = None, num_tasks: int = 16) -> LinearTasks:
    """The tasks; the third task of meta-step ``broken_step`` (from 0) of a run is broken."""
    broken = jnp.zeros(2, jnp.uint32)
    if broken_step is not None:
        keys = task_keys(derive(run_key, "tasks", broken_step), num_tasks)
        broken = jax.random.key_data(keys[2])
    return LinearTasks(jax.random.normal(jax.random.key(11), (POOL, FEATURES)), broken)


def network(params, inputs):
    return jnp.tanh(inputs @ params["w"] + params["b"][None]) @ params["v"]


def mean_square(params, examples):
    return jnp.mean(jnp.square(network(params, examples.inputs) - examples.targets))


@jax.custom_vjp
def nan_gradient(loss, broken):
    """``loss`` as it is; its gradient is NaN where ``broken``."""
    return loss


nan_gradient.defvjp(
    lambda loss, broken: (loss, broken),
    lambda broken, g: (jnp.where(broken, jnp.nan, g), None),
)


def make_learner(broken: str = "loss", inner_lr: float = 0.1) -> MetaLearner:
    """One-step MAML; a broken task has a NaN ``loss``, or a NaN ``gradient`` alone."""

    def init(key, task):
        draw = jax.random.uniform(key, (FEATURES + 1, WIDTH), minval=-0.8, maxval=0.8)
        return {"w": draw[:FEATURES], "b": jnp.zeros(WIDTH), "v": draw[FEATURES:].T}

    def adapt(params, support, key):
        grads = jax.grad(mean_square)(params, support)
        return jax.tree.map(lambda p, g: p - inner_lr * g, params, grads)

    def loss(params, task, key):
        query, is_broken = task.query
        value = mean_square(adapt(params, task.support, key), query)
        if broken == "loss":
            value = jnp.where(is_broken, jnp.nan, value)
        else:
            value = nan_gradient(value, is_broken)
        return value, {"before": mean_square(params, query)}

    return MetaLearner(init, adapt, lambda params, adapted, inputs: network(adapted, inputs), loss)


def inner_problem():
    """The head is fitted by momentum SGD; the body and its learning rate are hyperparameters."""

    def with_head(head, hparams):
        return {"w": hparams["w"], "b": hparams["b"], "v": head}

    problem = descend(
        lambda head, hparams, batch: mean_square(with_head(head, hparams), batch),
        lambda head, hparams, query: mean_square(with_head(head, hparams), query[0]),
        lambda hparams: optax.sgd(jnp.exp(hparams["log_lr"]), 0.9),
    )

    def init(key, task):
        params = make_learner().init(key, task)
        hparams = {"w": params["w"], "b": params["b"], "log_lr": jnp.float32(-4.0)}
        return OnlineParams(hparams, params["v"])

    def predict(state, hparams, inputs):
        return network(with_head(state.params, hparams), inputs)

    return problem, init, predict


def make_online(
    name: str, every: int = 1, tasks_at_once: int | None = None, **options
) -> Algorithm:
    """Online hyperparameters by the estimator of that name, and Reptile for the head's start."""
    problem, init, _ = inner_problem()
    return online(
        hypergradient(name, **options),
        problem,
        optax.adam(1e-2),
        init=init,
        inner_steps=6,
        every=every,
        reptile_rate=0.5,
        calibrate_every=3,
        tasks_at_once=tasks_at_once,
    )


def make_search() -> Algorithm:
    """Drawn hyperparameters, each tried for ten meta-steps, and Reptile for the head's start."""
    problem, init, _ = inner_problem()
    return random_search(problem, init=init, inner_steps=6, trial_steps=10, reptile_rate=0.5)


def make_inner_learner() -> MetaLearner:
    problem, init, predict = inner_problem()
    return inner_learner(problem, predict, init=init, inner_steps=6)


def make_algorithm(broken: str = "loss", **options) -> Algorithm:
    return gradient(make_learner(broken), optax.sgd(0.05, momentum=0.9), **options)
