"""From a config to the inner problem, the online algorithm and the learner that uses its result."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax

from metajax.bilevel import (
    Hypergradient,
    InnerProblem,
    descend,
    hypergradient,
    inner_learner,
    online,
)
from metajax.core import Algorithm, Examples, MetaLearner
from metajax.systems.hyperdistill.config import Config
from metajax.systems.hyperdistill.network import apply, init


def make_estimator(config: Config) -> Hypergradient:
    """The hypergradient that the config names, with the options that it has."""
    options: dict[str, dict[str, Any]] = {
        "distilled": {"gamma": config.gamma},
        "neumann": {"terms": config.terms},
        "es": {"sigma": config.sigma, "pairs": config.pairs},
        "pes": {"sigma": config.sigma, "pairs": config.pairs},
    }
    return hypergradient(config.method, **options.get(config.method, {}))


def make_problem(config: Config) -> InnerProblem:
    """Fit the head by SGD with momentum; score it by the mean squared error of the query."""

    def squared_error(head, body, batch: Examples):
        return jnp.mean(jnp.square(apply(body, head, batch.inputs) - batch.targets))

    return descend(squared_error, squared_error, optax.sgd(config.inner_lr, config.momentum))


def make_algorithm(config: Config) -> Algorithm:
    """The online algorithm: Adam on the hidden layers, Reptile for the head's start."""
    return online(
        make_estimator(config),
        make_problem(config),
        optax.adam(config.outer_lr),
        init=lambda key, task: init(config, key),
        inner_steps=config.inner_steps,
        every=config.every,
        reptile_rate=config.reptile_rate,
        calibrate_every=config.calibrate_every,
    )


def make_learner(config: Config) -> MetaLearner:
    """Fit a new task's head with the hidden layers held still."""
    return inner_learner(
        make_problem(config),
        lambda state, body, inputs: apply(body, state.params, inputs),
        init=lambda key, task: init(config, key),
        inner_steps=config.inner_steps,
    )
