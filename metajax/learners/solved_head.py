"""Any network whose head is solved for, from the head that it has: ANIL without inner steps."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from metajax.core import (
    Examples,
    MetaLearner,
    Network,
    Params,
    Task,
    check_type,
    checked_network,
    wide_dtype,
)
from metajax.learners.losses import Loss, one_hot
from metajax.learners.maml_family import Selection, put_back, select
from metajax.learners.metric import check_ways, embedding_learner
from metajax.nn import damped_least_squares, ridge_scores

LOG_STRENGTHS = tuple(range(-14, 3, 2))
"""Logarithms of the strengths that are tried, relative to the mean square of an equation."""


class SolvedParams(NamedTuple):
    """Meta-parameters of :func:`anil_solved`.

    Attributes:
      network: the network's, with the head that solutions start from.
      log_strength: logarithm of the weight of the pull toward that head.
      scale: what outputs are multiplied by to make them logits; None where none are made.
    """

    network: Params
    log_strength: Float[Array, ""]
    scale: Float[Array, ""] | None


def head_equations(
    network: Network, params: Params, inner: Selection, inputs: Any
) -> tuple[Float[Array, "n k"], Float[Array, "equations numbers"], Any]:
    """Return a network's outputs, their derivative by the head's numbers, and the way back.

    A row for each output of each example; the way back, ``head_of(numbers) -> head``, adds to the
    head that there is. The features are computed once: only the head is differentiated.
    """
    start, unravel = ravel_pytree(select(params, inner))

    def outputs_of(numbers: Float[Array, " numbers"]) -> Float[Array, "n k"]:
        return network.apply(put_back(params, unravel(numbers), inner), inputs)

    outputs = outputs_of(start)
    by_rows = outputs.size < start.size
    design = (jax.jacrev if by_rows else jax.jacfwd)(outputs_of)(start)

    def head_of(numbers: Float[Array, " numbers"]) -> Params:
        return unravel(start + numbers.astype(start.dtype))

    return outputs, design.reshape(outputs.size, start.size), head_of


def strength_by_leaving_one_out(
    design: Float[Array, "m d"], targets: Float[Array, "m 1"]
) -> Float[Array, ""]:
    """Return the strength by which each equation is best predicted from all the others.

    By :func:`metajax.nn.ridge_scores`, among ``e^LOG_STRENGTHS`` times the mean square of an
    equation's row. One strength for all columns: relative to each column's own squares, a unit that
    is all but off on a small support would get a huge head, and be on at the next query.
    """
    mean_square = jnp.sum(jnp.square(design)) / len(design)
    size = jnp.maximum(mean_square, jnp.finfo(design.dtype).tiny)
    strengths = size * jnp.exp(jnp.asarray(LOG_STRENGTHS, design.dtype))
    one = jnp.ones(design.shape[1], design.dtype)
    scores = ridge_scores(design, targets, strengths, leave_one_out=True, lengths=one)
    return strengths[jnp.argmin(scores)]


def anil_solved(
    network: Network,
    loss: Loss,
    *,
    inner: Selection = "head",
    ways: int | None = None,
    log_strength: float | None = 0.0,
    scale: float = 1.0,
) -> MetaLearner:
    """Solve for the head in place of :func:`~metajax.learners.anil`'s steps, in closed form.

    The adapted head ``w`` minimizes ``sum (outputs(w) - targets)^2 + strength |w - w_0|^2`` over
    the support, where ``w_0`` is the head among the meta-parameters: the point that gradient steps
    with iMAML's pull toward their start would reach. Meta-training moves features, ``w_0`` and
    strength through the solve. (ANIL: Raghu et al. 2020, arXiv 1909.09157; the solve, around zero:
    Bertinetto et al. 2019, arXiv 1805.08136.)

    With ``log_strength`` None the meta-parameters are the network's own: so the features of any
    trained network get a solved head, of the strength that
    :func:`strength_by_leaving_one_out` finds on each support.

    Args:
      network: any, whose outputs ``[n, k]`` are linear in the head (else this is one step of
        Gauss-Newton).
      loss: ``loss(outputs, targets) -> scalar``, of the query.
      inner: what of the network's parameters is the head; see :data:`~metajax.learners.Selection`.
      ways: classes, integer targets are regressed as one-hot rows and outputs are logits; None for
        float targets ``[n, k]``.
      log_strength: where the strength's logarithm starts; None: see above.
      scale: what logits are the outputs times; where that starts, of strengths that are learned.

    Returns:
      A learner whose ``adapted`` is the head, as :func:`~metajax.learners.anil` has it.

    Raises:
      ConfigError: fewer than 2 ways, or an ``inner`` that chooses nothing, when the first
        parameters are made.
    """
    if ways is not None:
        check_ways(ways)
    network = checked_network(network)
    learned = log_strength is not None

    def init(key: Key[Array, ""], task: Task) -> Any:
        params = network.init(key, task.support.inputs)
        select(params, inner)
        number = functools.partial(jnp.asarray, dtype=wide_dtype(params))
        if not learned:
            return params
        return SolvedParams(params, number(log_strength), None if ways is None else number(scale))

    def network_params(params: Any) -> Params:
        if learned:
            check_type("params", params, SolvedParams)
        return params.network if learned else params

    def adapt(params: Any, support: Examples) -> Params:
        own = network_params(params)
        outputs, design, head_of = head_equations(network, own, inner, support.inputs)
        targets = support.targets
        if ways is not None:
            targets = one_hot(targets, ways, wide_dtype(outputs))
        wide = wide_dtype(outputs)
        rest = (jnp.asarray(targets, wide) - outputs.astype(wide)).reshape(-1, 1)
        if learned:
            return head_of(damped_least_squares(design, rest, jnp.exp(params.log_strength))[:, 0])
        strength = strength_by_leaving_one_out(design.astype(wide), rest)
        return head_of(damped_least_squares(design, rest, strength)[:, 0])

    def predict(params: Any, head: Params, inputs: Any) -> Any:
        outputs = network.apply(put_back(network_params(params), head, inner), inputs)
        if ways is None:
            return outputs
        return outputs * jnp.asarray(params.scale if learned else scale, outputs.dtype)

    return embedding_learner(network, adapt, predict, loss, init, ways=ways)
