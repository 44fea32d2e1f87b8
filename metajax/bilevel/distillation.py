"""HyperDistill: the second-order term as one distilled vector-Jacobian product a step."""

from __future__ import annotations

import functools
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree

from metajax.bilevel.steps import (
    advance_noting,
    at,
    average,
    floats,
    in_reverse,
    num_steps,
    on_line,
    others,
    outer_gradients,
    step_vjp,
    with_leaves,
)
from metajax.bilevel.types import Estimate, Hypergradient, InnerProblem
from metajax.core import ConfigError, norm, wide_dtype


class Distilled(NamedTuple):
    """What HyperDistill remembers along an inner optimization.

    Attributes:
      weights: w*, a weighted mean of the states so far: their float leaves.
      batch: D*, as many examples as a batch holds, from the batches so far.
      total: ``(1 - gamma^t) / (1 - gamma)``, the sum of the weights of t steps, 0 before the first.
      gamma: the decay of older steps' weights.
      theta: the scale of the second-order term; see :func:`estimate_theta`.
    """

    weights: list[Array]
    batch: PyTree
    total: Float[Array, ""]
    gamma: Float[Array, ""]
    theta: Float[Array, ""]


def _mix(old: PyTree, new: PyTree, keep: Array, key: Key[Array, ""]) -> PyTree:
    """Keep ``round(n * keep)`` random examples of ``old``, and those of ``new`` elsewhere.

    An example keeps its place in the batch, so whichever places are kept, a batch that never
    changes is its own mixture.
    """
    num = jax.tree.leaves(old)[0].shape[0]
    bits = jax.random.bits(key, (num,), jnp.uint32)
    # below the one of this rank: a third of the time that jax.random.permutation takes
    ranked = jnp.append(jnp.sort(bits), jnp.uint32(2**32 - 1))
    kept = bits < ranked[jnp.round(num * keep).astype(int)]

    def choose(a, b):
        return jnp.where(kept.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, old, new)


def _absorb(
    memory: Distilled, state: PyTree, batch: PyTree, key: Key[Array, ""], kept: Array, added: Array
) -> Distilled:
    """Mix a state and its batch into w* and D*, which weigh ``kept``, with weight ``added``."""
    total = kept + added
    share = kept / total
    return memory._replace(
        weights=average(memory.weights, floats(state), share),
        batch=_mix(memory.batch, batch, share, key),
        total=total,
    )


def distilled(
    *,
    gamma: float | Array = 0.99,
    theta: float | Array = 1.0,
    scale: Literal["distilled", "unit"] = "distilled",
) -> Hypergradient:
    """Estimate by one product that stands for all past steps (HyperDistill).

    It is ``g_FO + theta (1 - gamma^t) / (1 - gamma) alpha dPhi(w*; D*)/dhparams``.

    w* and D* are running mixtures of the states and the batches so far. If Hessians are near ``k
    I``, one vector-Jacobian product at the end of a window approximates the whole sum over past
    steps. Costs what ``one_step`` does and an average of the state each step; memory two states and
    two batches, independent of T. With ``gamma = 0`` it is ``one_step`` with its indirect part
    scaled by theta. All leaves of a batch must share a leading axis of examples.

    Args:
      gamma: in [0, 1), the decay of older steps' weights; may be traced.
      theta: the scale; may be traced. Online it is where the calibration starts:
        :func:`estimate_theta` fits it to DrMAD's backward pass from time to time.
      scale: ``distilled`` as above; ``unit`` adds ``v / |v|`` instead (the paper's MetaWeightNet).

    Source: Lee et al. 2022, arXiv 2110.02508, Algorithm 3.

    Returns:
      The estimator; see :class:`metajax.bilevel.Hypergradient`.

    Raises:
      ConfigError: a factor is out of range.
    """
    if not isinstance(gamma, jax.core.Tracer) and not 0 <= float(gamma) < 1:
        raise ConfigError("gamma", gamma, "at least 0 and below 1")
    if scale not in ("distilled", "unit"):
        raise ConfigError("scale", scale, "distilled or unit")

    def init(problem: InnerProblem, hparams, start, batch, key, calibration):
        state = problem.init(hparams, start)
        sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(batch)}
        if len(sizes) != 1 or () in sizes:
            raise ConfigError(
                "inner_batches",
                sorted(sizes),
                "leaves with one leading axis of examples, which D* is drawn from",
            )
        dtype = wide_dtype((floats(state), hparams))
        total, decay, scale = (jnp.asarray(x, dtype) for x in (0, gamma, calibration))
        return Distilled(optax.tree.zeros_like(floats(state)), batch, total, decay, scale), state

    @in_reverse
    def update(problem: InnerProblem, memory, hparams, state, batches, outer_batch, key):
        def step(carry, inputs):
            memory, state, _ = carry
            batch, index = inputs
            # eq. 13, 14: with c_t = (1 - gamma^t) / (1 - gamma), p_t = gamma c_{t-1} / c_t
            kept, draw_key = memory.gamma * memory.total, jax.random.fold_in(key, index)
            memory = _absorb(memory, state, batch, draw_key, kept, jnp.ones_like(kept))
            return (memory, problem.update(state, hparams, batch), others(state)), None

        indices = jnp.arange(num_steps(batches))
        (memory, state, counters), _ = jax.lax.scan(
            step, (memory, state, others(state)), (batches, indices)
        )
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        at_star = with_leaves(state, memory.weights, counters)
        _, pull = step_vjp(problem, at_star, hparams, memory.batch)
        product = pull(alpha)[1]
        if scale == "unit":
            size = norm(product)
            factor = jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0)
        else:
            factor = memory.theta * memory.total
        second = jax.tree.map(lambda v: factor.astype(v.dtype) * v, product)
        return Estimate(optax.tree.add(direct, second), state, memory, loss, None, {})

    @in_reverse
    def calibrate(problem, hparams, state, batches, outer_batch, key, calibration):
        found = estimate_theta(
            problem, hparams, state, batches, outer_batch, key, gamma=gamma, fallback=calibration
        )
        return found.astype(calibration.dtype)

    # as precise as it is given, until the problem tells what it is computed in
    first_theta = theta if isinstance(theta, jax.Array) else np.float64(theta)
    return Hypergradient(
        "distilled", init, update, first_theta, None if scale == "unit" else calibrate
    )


def estimate_theta(
    problem: InnerProblem,
    hparams: PyTree,
    state: PyTree,
    batches: PyTree,
    outer_batch: PyTree,
    key: Key[Array, ""],
    *,
    gamma: float | Array,
    fallback: float | Array = 1.0,
    stored: bool = False,
) -> Float[Array, ""]:
    """Fit theta along one inner optimization from ``state`` (arXiv 2110.02508, Algorithm 4).

    Runs all steps, then goes back along the straight line between the first state and the last
    (DrMAD's), and so accumulates the second-order term of the last s steps. That term is projected
    onto the direction of the distilled term; theta is the least-squares slope from the distilled
    term's size to this projection. The states that w* averages are those of the line too, so
    nothing is stored along the way; with ``stored`` all T states are kept and take the line's place
    in both. Where the fit is not finite or has no term to fit, ``fallback`` is returned.

    Args:
      problem: the inner problem.
      hparams: where theta is fitted.
      state: the first inner state.
      batches: of the inner steps, on a leading axis.
      outer_batch: of the outer loss.
      key: of the inner steps.
      gamma: decay of the running mixtures, from 0 to 1.
      fallback: what stands in for a fit that is not finite.
      stored: keep all states instead of taking a straight line.

    Returns:
      Theta, a scalar without unit.
    """

    note = (lambda state: state) if stored else others
    dtype = wide_dtype((floats(state), hparams))
    number = functools.partial(jnp.asarray, dtype=dtype)
    last, noted = advance_noting(problem, hparams, state, batches, note)
    _, alpha_end, _ = outer_gradients(problem, last, hparams, outer_batch)
    steps = num_steps(batches)
    memory = Distilled(
        optax.tree.zeros_like(alpha_end),
        at(batches, -1),
        number(0),
        number(gamma),
        number(1),
    )

    def back(carry, inputs):
        alpha, total, memory, power, xx, xy = carry
        batch, seen, index = inputs
        between = seen if stored else on_line(state, last, index / steps, seen)
        _, pull = step_vjp(problem, between, hparams, batch)
        alpha, direct = pull(alpha)
        total = optax.tree.add(total, direct)
        # going back, the s-th state from the end weighs gamma^(s-1)
        draw_key = jax.random.fold_in(key, index)
        memory = _absorb(memory, between, batch, draw_key, memory.total, power)
        at_star = with_leaves(between, memory.weights)
        _, pull_star = step_vjp(problem, at_star, hparams, memory.batch)
        product = pull_star(alpha_end)[1]
        size = norm(product)
        x = size.astype(dtype) * memory.total
        y = (optax.tree.vdot(product, total) / jnp.where(size > 0, size, 1)).astype(dtype)
        return (alpha, total, memory, memory.gamma * power, xx + x * x, xy + x * y), None

    zeros: Any = optax.tree.zeros_like(hparams)
    carry = (alpha_end, zeros, memory, number(1), number(0), number(0))
    inputs = (batches, noted, jnp.arange(steps))
    (*_, xx, xy), _ = jax.lax.scan(back, carry, inputs, reverse=True)
    theta = xy / jnp.where(xx > 0, xx, 1)
    good = (xx > 0) & jnp.isfinite(theta)
    return jnp.where(good, theta, number(fallback))
