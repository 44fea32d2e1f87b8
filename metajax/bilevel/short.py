"""Estimators that look at few steps: first-order, one-step and DrMAD."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from metajax.bilevel.exact import no_memory
from metajax.bilevel.steps import (
    advance,
    advance_noting,
    at,
    floats,
    in_reverse,
    num_steps,
    on_line,
    outer_gradients,
    params_of,
    relative,
    step_vjp,
    with_leaves,
)
from metajax.bilevel.types import Estimate, Hypergradient
from metajax.core import norm


def first_order() -> Hypergradient:
    """Take the direct gradient dL/d hparams at the last state alone.

    Costs one gradient of the outer loss. Zero wherever ``hparams`` act only through the inner
    steps; biased otherwise by all that they do there.

    Returns:
      The estimator.
    """

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        state = advance(problem, hparams, state, batches)
        loss, _, direct = outer_gradients(problem, state, hparams, outer_batch)
        return Estimate(direct, state, memory, loss, None, {})

    return Hypergradient("first_order", no_memory, update)


def one_step() -> Hypergradient:
    """Take the direct gradient, and the effect through the last step: ``g_FO + alpha B_T``.

    Costs one vector-Jacobian product; memory independent of T. Biased by all earlier steps
    (short-horizon bias). (Luketina et al. 2016, arXiv 1511.06727.)

    Returns:
      The estimator.
    """

    @in_reverse
    def update(problem, memory, hparams, state, batches, outer_batch, key):
        before = jax.tree.map(lambda leaf: leaf[:-1], batches)
        state = advance(problem, hparams, state, before)
        state, pull = step_vjp(problem, state, hparams, at(batches, -1))
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        return Estimate(optax.tree.add(direct, pull(alpha)[1]), state, memory, loss, None, {})

    return Hypergradient("one_step", no_memory, update)


def drmad() -> Hypergradient:
    """Differentiate in reverse along the straight line from the window's first state to its last.

    The state before step ``t`` is taken as ``(1 - (t-1)/T) s_0 + ((t-1)/T) s_T``: no state but two
    is kept, 2T - 1 vector-Jacobian products. Counters are those of the real steps. Momenta and
    second moments are taken on the line too, though none of them moves along one.

    ``info`` tells how far the line is from the real path: ``path``, by how much the sum of the
    steps that start on the line misses the real change of the parameters, relative to that change
    (0: every step lies on the line); and ``growth``, the largest derivative of the loss in the
    parameters on the way back, relative to that at the end. The error of the estimate is often near
    ``path``; a ``growth`` of many times the real one leaves nothing of it. (Fu et al. 2016, arXiv
    1601.00917.)

    Returns:
      The estimator.
    """

    @in_reverse
    def update(problem, memory, hparams, state, batches, outer_batch, key):
        last, counters = advance_noting(problem, hparams, state, batches)
        loss, alpha, direct = outer_gradients(problem, last, hparams, outer_batch)
        steps = num_steps(batches)

        def back(carry, inputs):
            alpha, total, moved, largest = carry
            batch, counter, index = inputs
            between = on_line(state, last, index / steps, counter)
            stepped, pull = step_vjp(problem, between, hparams, batch)
            alpha, direct = pull(alpha)
            moved = optax.tree.add(moved, optax.tree.sub(floats(stepped), floats(between)))
            largest = jnp.maximum(largest, size_of(alpha))
            return (alpha, optax.tree.add(total, direct), moved, largest), None

        def size_of(values):
            return norm(params_of(problem, with_leaves(last, values)))

        inputs = (batches, counters, jnp.arange(steps))
        change = optax.tree.sub(floats(last), floats(state))
        nowhere = optax.tree.zeros_like(change)
        (start, total, moved, largest), _ = jax.lax.scan(
            back, (alpha, direct, nowhere, size_of(alpha)), inputs, reverse=True
        )
        info = {
            "path": relative(size_of(optax.tree.sub(moved, change)), size_of(change)),
            "growth": relative(largest, size_of(alpha)),
        }
        return Estimate(total, last, memory, loss, start, info)

    return Hypergradient("drmad", no_memory, update)
