"""Hyperparameters of an inner optimization of one's own, tuned on held-out data."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree

from metajax.bilevel.batches import full_batches
from metajax.bilevel.registry import estimate, evaluate_hypergradient, hypergradient
from metajax.bilevel.steps import at, params_of
from metajax.bilevel.types import Hypergradient, InnerProblem
from metajax.core import ConfigError, Params, optimizer_step, prepare_optimizer


class TunedHyperparameters(NamedTuple):
    """What :func:`tune` has found.

    Attributes:
      hparams: those of the least held-out loss.
      params: where the inner optimization ends with them.
      loss: the held-out loss before each step.
    """

    hparams: PyTree
    params: Params
    loss: Float[np.ndarray, " steps"]


def tune(
    problem: InnerProblem,
    hparams: PyTree,
    start: Params,
    train: PyTree,
    validation: PyTree,
    *,
    inner_steps: int,
    steps: int = 100,
    optimizer: optax.GradientTransformation | None = None,
    estimator: Hypergradient | None = None,
    key: Key[Array, ""] | None = None,
) -> TunedHyperparameters:
    """Tune the hyperparameters of an optimization by hypergradients of a held-out loss.

    Each step runs the whole inner optimization from the same start on all of ``train``, and moves
    the hyperparameters down its outer loss on ``validation``. All of it is one compiled program.

    Args:
      problem: the inner optimization: :func:`~metajax.bilevel.descend` makes it of two losses.
      hparams: the first guess, a pytree of float arrays.
      start: what each inner optimization starts from.
      train: one batch, which every inner step sees.
      validation: one batch, which the outer loss is taken on.
      inner_steps: of one inner optimization.
      steps: of the hyperparameters.
      optimizer: of the hyperparameters; ``optax.adam(3e-2)`` by default.
      estimator: of the hypergradient; ``hypergradient("unrolled")``, which is exact, by default.
      key: for estimators that draw.

    Returns:
      The best hyperparameters that were met, and what they lead to.

    Raises:
      ConfigError: sizes below 1, or an inner optimization that does not stay finite at the first
        guess; the message says what is not.
    """
    for name, number in (("inner_steps", inner_steps), ("steps", steps)):
        if number < 1:
            raise ConfigError(name, number, "1 or more")
    key = jax.random.key(0) if key is None else key
    estimator = hypergradient("unrolled") if estimator is None else estimator
    optimizer = optax.adam(3e-2) if optimizer is None else optimizer
    rule = prepare_optimizer(optimizer, has_function=False)
    data = start, train, validation, jax.random.split(key, steps)
    tried, ends, losses = _tuned(problem, estimator, rule, inner_steps, hparams, *data)
    loss = np.asarray(losses)
    if not np.isfinite(loss[0]):
        batches = full_batches(train, key, inner_steps)
        evaluate_hypergradient(estimator, problem, hparams, start, batches, validation)
    best = int(np.nanargmin(loss))
    return TunedHyperparameters(at(tried, best), at(ends, best), loss)


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _tuned(
    problem: InnerProblem,
    estimator: Hypergradient,
    rule: Any,
    inner_steps: int,
    hparams: PyTree,
    start: Params,
    train: PyTree,
    validation: PyTree,
    keys: Key[Array, " steps"],
) -> Any:
    batches = full_batches(train, keys[0], inner_steps)

    def step(carry: Any, key: Key[Array, ""]) -> Any:
        hparams, state = carry
        found = estimate(estimator, problem, hparams, start, batches, validation, key=key)
        loss, end = found.outer_loss, params_of(problem, found.state)
        moved = optimizer_step(rule, hparams, state, found.hypergradient, value=loss)
        return moved, (hparams, end, loss)

    return jax.lax.scan(step, (hparams, rule.init(hparams)), keys)[1]
