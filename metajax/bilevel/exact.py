"""Estimators that are exact over a window: reverse mode and forward mode."""

from __future__ import annotations

import jax
import jax.flatten_util
import jax.numpy as jnp
import optax

from metajax.bilevel.steps import (
    advance_in_segments,
    floats,
    in_reverse,
    num_steps,
    outer_gradients,
    segment_length,
    step_of_floats,
    with_leaves,
)
from metajax.bilevel.types import Estimate, Hypergradient
from metajax.core import ConfigError


def no_memory(problem, hparams, start, batch, key, calibration):
    """``init`` of an estimator that remembers nothing from window to window."""
    return (), problem.init(hparams, start)


def unrolled(*, segment: int | None = None) -> Hypergradient:
    """Differentiate in reverse through the window: exact there, blind to what came before it.

    The steps are differentiated in segments of ``segment`` steps, about the square root of the
    window's length by default. Memory holds ``T / segment + segment`` states instead of ``T``, and
    every step is run once more. ``segment=T`` keeps all states. Costs three to five inner
    optimizations. (Maclaurin et al. 2015, arXiv 1502.03492; Shaban et al. 2019, arXiv 1810.10667.)

    Args:
      segment: inner steps of a segment, or None for about the root of their number.

    Returns:
      The estimator.

    Raises:
      ConfigError: ``segment`` below 1.
    """
    if segment is not None and segment < 1:
        raise ConfigError("segment", segment, "1 inner step or more, or None")

    @in_reverse
    def update(problem, memory, hparams, state, batches, outer_batch, key):
        length = segment or segment_length(num_steps(batches))

        def loss_at_end(values, hparams):
            first = with_leaves(state, values)
            last = advance_in_segments(problem, hparams, first, batches, length)
            return problem.outer_loss(last, hparams, outer_batch), last

        (loss, last), (start, hypergradient) = jax.value_and_grad(
            loss_at_end, argnums=(0, 1), has_aux=True
        )(floats(state), hparams)
        return Estimate(hypergradient, last, memory, loss, start, {})

    return Hypergradient("unrolled", no_memory, update)


def forward() -> Hypergradient:
    """Differentiate in forward mode: ``d state/d hparams`` is carried along, exact over windows.

    Memory and time grow with the number of hyperparameters (one tangent of the state each) and
    not with the number of steps. Where ``hparams`` move between windows, the derivative of each
    step is taken where it was taken (real-time recurrent learning). (Franceschi et al. 2017, arXiv
    1703.01785.)

    Returns:
      The estimator, whose memory is ``d state/d hparams``.
    """

    def basis(hparams):
        flat, unravel = jax.flatten_util.ravel_pytree(hparams)
        return jax.vmap(unravel)(jnp.eye(flat.size, dtype=flat.dtype)), unravel

    def init(problem, hparams, start, batch, key, calibration):
        directions, _ = basis(hparams)

        def along(direction):
            def state_floats(hparams):
                return floats(problem.init(hparams, start))

            return jax.jvp(state_floats, (hparams,), (direction,))[1]

        return jax.vmap(along)(directions), problem.init(hparams, start)

    def update(problem, memory, hparams, state, batches, outer_batch, key):
        directions, unravel = basis(hparams)

        def step(carry, batch):
            state, tangents = carry

            of_floats = step_of_floats(problem, state, batch)

            def along(tangent, direction):
                _, new_tangent, new = jax.jvp(
                    of_floats, (floats(state), hparams), (tangent, direction), has_aux=True
                )
                return new_tangent, new

            tangents, new = jax.vmap(along, out_axes=(0, None))(tangents, directions)
            return (new, tangents), None

        (state, tangents), _ = jax.lax.scan(step, (state, memory), batches)
        loss, alpha, direct = outer_gradients(problem, state, hparams, outer_batch)
        indirect = sum(
            jnp.tensordot(tangent, a, a.ndim) for tangent, a in zip(tangents, alpha, strict=True)
        )
        return Estimate(optax.tree.add(direct, unravel(indirect)), state, tangents, loss, None, {})

    return Hypergradient("forward", init, update)
