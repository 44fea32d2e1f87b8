"""A softmax head on fixed features, trained by SGD as classes come: the baselines of prototypes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.continual.class_sums import RULED_OUT
from metajax.core import Params, cross_entropy, random_indices

MOMENTUM = 0.9
"""Of SGD."""


def head_logits(
    head: Params, features: Float[Array, "n features"], known: Int32[Array, ""]
) -> Float[Array, "n classes"]:
    """Return a head's logits; classes that have not come yet are ruled out.

    Args:
      head: ``kernel`` and ``bias``.
      features: to classify.
      known: how many classes have come: the first so many.
    """
    logits = features @ head["kernel"] + head["bias"][None]
    return jnp.where(jnp.arange(logits.shape[1])[None] < known, logits, RULED_OUT)


def stage_heads(
    features: Float[Array, "n features"],
    labels: Int32[Array, " n"],
    stages: Int32[Array, " n"],
    counted: Bool[Array, " n"],
    known: Int32[Array, " stages"],
    *,
    classes: int,
    keep: bool,
    steps: int,
    examples: int,
    rate: float | Float[Array, ""],
    key: Key[Array, ""],
) -> Params:
    """Train one softmax head stage after stage by SGD with momentum, from zeros.

    With ``keep`` each stage draws from the examples of all stages so far, which is joint training.
    Without, it draws from its own alone, as learning mission after mission does.

    Args:
      features: of all stages' examples.
      labels: numbers of their classes.
      stages: the stage of each example, from 0.
      counted: which examples there are.
      known: how many classes have come by each stage: the first so many.
      classes: of all stages.
      keep: whether examples of earlier stages are kept.
      steps: of each stage.
      examples: of a step.
      rate: learning rate; may be traced.
      key: of the draws.

    Returns:
      The head after each stage, ``kernel [stages, features, classes]`` and ``bias``.
    """
    rule = optax.sgd(rate, MOMENTUM)
    zeros = jnp.zeros((features.shape[1], classes), features.dtype)
    head = {"kernel": zeros, "bias": jnp.zeros(classes, features.dtype)}

    def loss(head: Params, rows: Array, known: Array) -> Array:
        logits = head_logits(head, features[rows], known)
        return cross_entropy(logits, labels[rows])

    def one_stage(head: Params, at: tuple[Array, Array]) -> tuple[Params, Params]:
        stage, known = at
        of = counted & ((stages <= stage) if keep else (stages == stage))
        # the k-th example that counts is the first by which k + 1 have been counted
        upto = jnp.cumsum(of.astype(jnp.int32))

        def step(state: tuple[Params, optax.OptState], key: Array) -> tuple[Any, None]:
            head, opt_state = state
            places = random_indices(key, (examples,), upto[-1].astype(jnp.uint32))
            rows = jnp.searchsorted(upto, places, side="right")
            slope = jax.grad(loss)(head, rows, known)
            updates, opt_state = rule.update(slope, opt_state)
            return (optax.apply_updates(head, updates), opt_state), None

        keys = jax.random.split(jax.random.fold_in(key, stage), steps)
        (head, _), _ = jax.lax.scan(step, (head, rule.init(head)), keys)
        return head, head

    _, heads = jax.lax.scan(one_stage, head, (jnp.arange(len(known), dtype=jnp.int32), known))
    return heads
