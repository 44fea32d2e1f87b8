"""Estimators without derivatives: evolution strategies, truncated and persistent."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PyTree

from metajax.bilevel.checks import leaves_used
from metajax.bilevel.exact import no_memory
from metajax.bilevel.steps import advance
from metajax.bilevel.types import Estimate, Hypergradient
from metajax.core import ConfigError


def _check(sigma: Any, pairs: int) -> None:
    if not isinstance(sigma, jax.core.Tracer) and not 0 < float(sigma) < float("inf"):
        raise ConfigError("sigma", sigma, "a finite number above 0")
    if pairs < 1:
        raise ConfigError("pairs", pairs, "1 pair or more")


def _noise(key, hparams: PyTree, sigma: Any, pairs: int) -> PyTree:
    """``pairs`` normal perturbations of ``hparams`` of deviation ``sigma``, on a leading axis."""
    leaves, treedef = jax.tree.flatten(hparams)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jnp.asarray(sigma, leaf.dtype) * jax.random.normal(k, (pairs, *leaf.shape), leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(treedef, drawn)


def _both(hparams: PyTree, noise: PyTree) -> PyTree:
    """Hyperparameters moved along and against one perturbation, on a leading axis of 2."""
    return jax.tree.map(lambda h, e: jnp.stack([h + e, h - e]), hparams, noise)


def _slope(losses: Array, noise: PyTree, sigma: Any) -> PyTree:
    """``mean_i (L(+e_i) - L(-e_i)) e_i / (2 sigma^2)`` for losses ``[pairs, 2]``."""
    differences = losses[:, 0] - losses[:, 1]

    def weigh(e):
        factor = differences.astype(e.dtype) / (2 * jnp.square(jnp.asarray(sigma, e.dtype)))
        return jnp.tensordot(factor, e, 1) / differences.shape[0]

    return jax.tree.map(weigh, noise)


def es(*, sigma: float | Array = 0.01, pairs: int = 16) -> Hypergradient:
    """Estimate by antithetic evolution strategies over each window, from the state reached.

    Unbiased for the gradient of the outer loss smoothed by normal noise of deviation ``sigma``,
    within the window; blind to what came before it (truncation) and to how the initial state
    depends on the hyperparameters. Costs ``2 pairs`` windows; no derivative is taken.

    Args:
      sigma: deviation of the noise, in the hyperparameters' units.
      pairs: perturbations, each taken both ways.

    Returns:
      The estimator.
    """
    _check(sigma, pairs)

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        def loss_of(hparams):
            last = advance(problem, hparams, state, batches)
            return problem.outer_loss(last, hparams, outer_batch)

        noise = _noise(key, hparams, sigma, pairs)
        losses = jax.vmap(lambda e: jax.vmap(loss_of)(_both(hparams, e)))(noise)
        last = advance(problem, hparams, state, batches)
        loss = problem.outer_loss(last, hparams, outer_batch)
        return Estimate(_slope(losses, noise, sigma), last, memory, loss, None, {})

    return Hypergradient("es", no_memory, update)


class Particles(NamedTuple):
    """What persistent evolution strategies carry along.

    Attributes:
      states: inner states of the perturbed runs, ``[pairs, 2, ...]``.
      noise: the sum of each pair's perturbations so far, ``[pairs, ...]``.
    """

    states: PyTree
    noise: PyTree


def pes(*, sigma: float | Array = 0.01, pairs: int = 16) -> Hypergradient:
    """Estimate by persistent evolution strategies: perturbed runs continue from window to window.

    Every window draws new perturbations; its losses are weighted with the sum of those that
    each run has met so far: unbiased (up to smoothing) over the whole inner optimization, with a
    variance that grows with the number of windows. Costs ``2 pairs`` windows, memory ``2 pairs``
    states. (Vicol, Metz and Sohl-Dickstein 2021, arXiv 2112.13835.)

    Args:
      sigma: deviation of the noise, in the hyperparameters' units.
      pairs: perturbed runs, each with one that is perturbed the other way.

    Returns:
      The estimator, whose memory is the perturbed runs' states.
    """
    _check(sigma, pairs)

    def init(problem, hparams, start, batch, key, calibration):
        state = problem.init(hparams, start)

        def first(hparams):
            return problem.init(hparams, start)

        # a learned initialization is one more step that meets a perturbation
        noise = _noise(key, hparams, sigma if leaves_used(first, hparams) else 0.0, pairs)
        states = jax.vmap(lambda e: jax.vmap(first)(_both(hparams, e)))(noise)
        return Particles(states, noise), state

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        noise = _noise(key, hparams, sigma, pairs)

        def run(state, hparams):
            last = advance(problem, hparams, state, batches)
            return last, problem.outer_loss(last, hparams, outer_batch)

        states, losses = jax.vmap(lambda s, e: jax.vmap(run)(s, _both(hparams, e)))(
            memory.states, noise
        )
        total = optax.tree.add(memory.noise, noise)
        last, loss = run(state, hparams)
        return Estimate(
            _slope(losses, total, sigma), last, Particles(states, total), loss, None, {}
        )

    return Hypergradient("pes", init, update)
