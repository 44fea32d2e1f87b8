"""What all estimators do with inner steps: run them, and differentiate one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from metajax.bilevel.types import InnerProblem
from metajax.core import ConfigError, all_finite, reverse_mode

in_reverse = reverse_mode(
    "problem.update",
    "a loop of unknown length",
    "steps that can be differentiated in reverse: a line search (lbfgs) cannot; take another inner "
    "optimizer, or forward, conjugate_gradient, es or pes",
)
"""Decorates what differentiates inner steps in reverse: an error that names them."""


def is_float(leaf: Any) -> bool:
    """Whether derivatives run through this leaf."""
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


def floats(tree: PyTree) -> list[Array]:
    """Return the leaves that derivatives run through, in order."""
    return [leaf for leaf in jax.tree.leaves(tree) if is_float(leaf)]


def others(tree: PyTree) -> list[Array]:
    """Return all other leaves: counters, keys."""
    return [leaf for leaf in jax.tree.leaves(tree) if not is_float(leaf)]


def with_leaves(like: PyTree, new_floats: list[Array], new_others: list[Array] | None = None):
    """Return ``like`` with its float leaves, and its other leaves if given, replaced."""
    leaves, treedef = jax.tree.flatten(like)
    values, rest = iter(new_floats), iter(others(like) if new_others is None else new_others)
    return jax.tree.unflatten(
        treedef, [next(values) if is_float(leaf) else next(rest) for leaf in leaves]
    )


def average(a: list[Array], b: list[Array], share: Array) -> list[Array]:
    """``share * a + (1 - share) * b``; with a share of 0, ``a`` does not count even where NaN."""
    return [
        jnp.where(share > 0, share.astype(x.dtype) * x, 0) + (1 - share).astype(y.dtype) * y
        for x, y in zip(a, b, strict=True)
    ]


def or_one(x: Array) -> Array:
    """``x``, to divide by; 1 where it is 0."""
    return jnp.where(x == 0, 1, x)


def relative(size: Array, reference: Array) -> Array:
    """``size / reference``, and ``size`` where that is 0."""
    return size / or_one(reference)


def num_steps(batches: PyTree) -> int:
    """The number of inner steps that ``batches`` holds, its leading axis."""
    return jax.tree.leaves(batches)[0].shape[0]


def at(batches: PyTree, index: int) -> PyTree:
    """The batch of one step."""
    return jax.tree.map(lambda leaf: leaf[index], batches)


def advance(problem: InnerProblem, hparams: PyTree, state: PyTree, batches: PyTree) -> PyTree:
    """Run one inner step per batch and return the last state."""

    def step(state, batch):
        return (problem.update(state, hparams, batch), None)

    return jax.lax.scan(step, state, batches)[0]


def advance_noting(
    problem: InnerProblem,
    hparams: PyTree,
    state: PyTree,
    batches: PyTree,
    note: Callable[[PyTree], PyTree] = others,
) -> tuple[PyTree, PyTree]:
    """As :func:`advance`; also returns, stacked, a note of the state before each step.

    The note is its non-float leaves by default.
    """

    def step(state, batch):
        return (problem.update(state, hparams, batch), note(state))

    return jax.lax.scan(step, state, batches)


def advance_following(
    problem: InnerProblem,
    hparams: PyTree,
    state: PyTree,
    batches: PyTree,
    note: Callable[[PyTree], PyTree],
) -> tuple[PyTree, PyTree]:
    """As :func:`advance_noting`, with the note of the last state behind the others."""
    last, notes = advance_noting(problem, hparams, state, batches, note)

    def append(before: Array, after: Array) -> Array:
        return jnp.concatenate([before, after[None]])

    return last, jax.tree.map(append, notes, note(last))


def check_num_steps(num_steps: Any) -> None:
    """Raise where a learner cannot be followed for so many steps.

    Raises:
      ConfigError: ``num_steps`` is no whole number of 0 or more.
    """
    if not isinstance(num_steps, int | np.integer) or num_steps < 0:
        raise ConfigError("num_steps", num_steps, "a whole number of 0 or more")


def on_line(first: PyTree, last: PyTree, share: Array, counters: list[Array]) -> PyTree:
    """The state ``(1 - share) first + share last``, with the counters of a real one (DrMAD)."""
    return with_leaves(first, average(floats(last), floats(first), share), counters)


def step_of_floats(problem: InnerProblem, state: PyTree, batch: PyTree) -> Callable:
    """Return ``step(values, hparams) -> (floats of the new state, the new state)``."""

    def step(values, hparams):
        new = problem.update(with_leaves(state, values), hparams, batch)
        return floats(new), new

    return step


def step_vjp(
    problem: InnerProblem, state: PyTree, hparams: PyTree, batch: PyTree
) -> tuple[PyTree, Callable[[list[Array]], tuple[list[Array], PyTree]]]:
    """Run one step from ``state``; also return ``pull(alpha) -> (alpha A, alpha B)``.

    ``A = d update/d state`` and ``B = d update/d hparams``, over the float leaves of the state.
    """
    step = step_of_floats(problem, state, batch)
    _, pull, new = jax.vjp(step, floats(state), hparams, has_aux=True)
    return new, pull


def outer_gradients(
    problem: InnerProblem, state: PyTree, hparams: PyTree, batch: PyTree
) -> tuple[Array, list[Array], PyTree]:
    """Return the outer loss, ``alpha = dL/d state`` and the direct gradient ``dL/d hparams``."""

    def loss(values, hparams):
        return problem.outer_loss(with_leaves(state, values), hparams, batch)

    value, (alpha, direct) = jax.value_and_grad(loss, (0, 1))(floats(state), hparams)
    return value, alpha, direct


def params_of(problem: InnerProblem, state: PyTree) -> PyTree:
    """What the inner optimization optimizes; its whole state where the problem does not say."""
    return state if problem.params is None else problem.params(state)


def loss_or_nan(loss: Array, kept: PyTree) -> Array:
    """``loss``, or NaN where what a step leaves behind is not finite, for the loop to see.

    A loss can hide it: a share of mistakes is a number whatever the weights.
    """
    return jnp.where(all_finite(kept), loss, jnp.nan)


def segment_length(steps: int) -> int:
    """The length of segments that keeps the fewest states: the square root of ``steps``."""
    return max(1, math.isqrt(steps))


def advance_in_segments(
    problem: InnerProblem, hparams: PyTree, state: PyTree, batches: PyTree, length: int
) -> PyTree:
    """As :func:`advance`; differentiating it keeps one state a segment and recomputes the rest."""
    steps = num_steps(batches)
    whole = steps // length * length
    parts = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, length, *leaf.shape[1:]), batches)
    rest = jax.tree.map(lambda leaf: leaf[whole:], batches)
    segment = jax.checkpoint(lambda state, part: advance(problem, hparams, state, part))
    state, _ = jax.lax.scan(lambda state, part: (segment(state, part), None), state, parts)
    return segment(state, rest) if whole < steps else state
