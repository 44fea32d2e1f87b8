"""Predictors that adapt to a stream by the entropy of their own predictions."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.extend.core import Literal
from jax.interpreters import partial_eval
from jaxtyping import Array, Bool, Float

from metajax.continual.online import Adaptation, Online
from metajax.continual.source import SourceParams
from metajax.core import Params, optimizer_step, prepare_optimizer
from metajax.nn import PartedNetwork

AFFINE = "scale", "bias"
"""What normalization multiplies by and adds."""


class OnlineState(NamedTuple):
    """State of :func:`adapting`.

    Attributes:
      params: what was trained; a stream never changes them.
      at: the adapted parameters.
      opt_state: of the optimizer.
    """

    params: SourceParams
    at: Params
    opt_state: Any


def adapting(adaptation: Adaptation, optimizer: optax.GradientTransformation) -> Online:
    """Take one step of adaptation for each batch of a stream, after predicting the batch.

    Args:
      adaptation: what is adapted.
      optimizer: any optax optimizer; its state lasts through the stream.

    Returns:
      The predictor.
    """
    rule = prepare_optimizer(optimizer, has_function=False)

    def init(params: SourceParams) -> OnlineState:
        at = adaptation.adapted(params)
        return OnlineState(params, at, rule.init(at))

    def step(state: OnlineState, images: Array) -> tuple[OnlineState, Array]:
        slope = jax.value_and_grad(adaptation.loss, has_aux=True)
        (loss, logits), grads = slope(state.at, state.params, images)
        at, opt_state = optimizer_step(rule, state.at, state.opt_state, grads, value=loss)
        return OnlineState(state.params, at, opt_state), logits

    return Online(init, step, adaptation)


def entropies(logits: Float[Array, "*examples classes"]) -> Float[Array, "*examples"]:
    """Return the entropy of each prediction, in nats.

    Args:
      logits: of the classes.
    """
    log = jax.nn.log_softmax(logits)
    return -jnp.sum(jnp.exp(log) * log, -1)


def mean_where(values: Float[Array, " n"], chosen: Bool[Array, " n"]) -> Float[Array, ""]:
    """Return the mean of the chosen values; 0, with gradient 0, where none is chosen.

    Args:
      values: finite numbers.
      chosen: which of them count.
    """
    counted = jnp.sum(chosen).astype(values.dtype)
    return jnp.sum(jnp.where(chosen, values, 0)) / jnp.maximum(counted, 1)


def tent(network: PartedNetwork) -> Adaptation:
    """Adapt the scales and biases of normalization (TENT; Wang et al. 2021, arXiv 2006.10726).

    The loss is the mean entropy of a batch, normalized by its own statistics.

    Args:
      network: the source network.

    Returns:
      What is adapted, and its loss.
    """

    def adapted(params: SourceParams) -> Params:
        return {
            part: {name: {leaf: of[leaf] for leaf in AFFINE} for name, of in layers.items()}
            for part, layers in params.network.items()
            if part != "head"
        }

    def loss(at: Params, params: SourceParams, images: Array) -> tuple[Array, Array]:
        parts = {
            part: {name: params.network[part][name] | of for name, of in layers.items()}
            for part, layers in at.items()
        }
        logits, _ = network.apply(params.network | parts, params.averages, images, True)
        return jnp.mean(entropies(logits)), logits

    return Adaptation(adapted, loss)


def residual_bytes(
    adaptation: Adaptation, params: SourceParams, images: Float[Array, "n h w c"]
) -> int:
    """Return the bytes of activations that a forward pass keeps for its backward pass.

    They are those of the linearized program before any compiler sees it: what the pull-back closes
    over and what depends on the images, other than the images themselves. The rest is made of
    parameters or of constants.

    Args:
      adaptation: what is adapted.
      params: arrays or their shapes.
      images: a batch, or its shape.

    Returns:
      The bytes, computed from shapes alone.
    """
    at = jax.eval_shape(adaptation.adapted, params)

    def pulled(at: Params, params: SourceParams, images: Array) -> list[Array]:
        def loss(at: Params) -> Array:
            return adaptation.loss(at, params, images)[0]

        return jax.tree.leaves(jax.vjp(loss, at)[1])

    traced = jax.make_jaxpr(pulled)(at, params, images).jaxpr
    total, seen = 0, set(traced.invars)
    for var in traced.outvars:
        if isinstance(var, Literal) or var in seen:
            continue
        seen.add(var)
        _, used = partial_eval.dce_jaxpr(traced, [other is var for other in traced.outvars])
        if used[-1]:
            total += var.aval.size * var.aval.dtype.itemsize
    return total
