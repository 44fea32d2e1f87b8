"""Parts of a deep network that are trained apart, each in the place of a layer of a shallow one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32, Key, PyTree

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    accuracy,
    cross_entropy,
    derive,
)
from metajax.learners.distilling import smoothed_labels
from metajax.learners.growing import GrowthStage, MakeOptimizer, handed_over, with_params
from metajax.learners.idle import not_adapted
from metajax.learners.stages import check_each, moving_only

Stack = Callable[[int], Network]


def hybrid_layers(meta: PyTree, part: PyTree, at: Int32[Array, ""]) -> PyTree:
    """Return the layers of a shallow network, of which those of a part take the place of one.

    Args:
      meta: stacked layers of the shallow network, one for each part.
      part: stacked layers of the part.
      at: the place that they take, which may be traced.
    """

    def join(one: Array, many: Array) -> Array:
        place = jnp.arange(len(one) + len(many) - 1, dtype=jnp.int32)
        own, after = len(one) + place - at, place - (len(many) - 1)
        rows = jnp.where(place < at, place, jnp.where(after < at + 1, own, after))
        return jnp.concatenate([one, many])[rows]

    return jax.tree.map(join, meta, part)


def assembled(meta: Params, parts: PyTree) -> Params:
    """Return the deep network: all parts in order, and the rest of the shallow network.

    Args:
      meta: parameters of the shallow network.
      parts: layers ``[parts, layers, ...]``.
    """
    layers = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), parts)
    return {**meta, "layers": layers}


def incubating_parts(stack: Stack, number: int, size: int) -> MetaLearner:
    """Train each part of a deep network in the place of a layer of a trained shallow one.

    The loss is the sum over parts of the cross-entropy of its hybrid: the shallow network with the
    part's layers in place of its own layer. So the gradient of a part does not depend on the other
    parts. The shallow network has no gradient. All parts are one batched program (Deep Incubation:
    Ni et al. 2023, arXiv 2212.04129).

    Args:
      stack: ``stack(depth)`` makes a network, as :func:`metajax.nn.layer_stack` does. Parameters
        are a dictionary; arrays in ``layers`` have a first axis of ``depth``, and all others are
        the same for every depth.
      number: parts, as many as the shallow network has layers.
      size: layers of a part.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples` and whose parameters are a
      dictionary of ``meta``, the shallow network's, and ``parts``, layers ``[number, size, ...]``;
      it predicts by the assembled network.
    """
    hybrid, deep = stack(number + size - 1), stack(number * size)

    def init(key: Key[Array, ""], task: Examples) -> Params:
        drawn: Any = deep.init(derive(key, "parts"), task.inputs)
        parts = jax.tree.map(
            lambda leaf: leaf.reshape(number, size, *leaf.shape[1:]), drawn["layers"]
        )
        return {"meta": stack(number).init(derive(key, "meta"), task.inputs), "parts": parts}

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return deep.apply(assembled(params["meta"], params["parts"]), inputs)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        meta = jax.lax.stop_gradient(params["meta"])

        def one(part: PyTree, at: Int32[Array, ""]) -> tuple[Array, Array]:
            layers = hybrid_layers(meta["layers"], part, at)
            logits = hybrid.apply({**meta, "layers": layers}, task.inputs)
            return cross_entropy(logits, task.targets), accuracy(logits, task.targets)

        losses, right = jax.vmap(one)(params["parts"], jnp.arange(number, dtype=jnp.int32))
        return jnp.sum(losses), {"accuracy": jnp.mean(right)}

    return MetaLearner(init, not_adapted, predict, loss)


def each_apart(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return an optimizer of stacked networks that treats each one as it would alone.

    It matters where the optimizer joins all parameters, as clipping by their norm does.

    Args:
      optimizer: of one network.

    Returns:
      The optimizer of arrays whose first axis is that of the networks.
    """

    def update(updates: PyTree, state: Any, params: PyTree | None = None) -> Any:
        axes = (0, 0, None if params is None else 0)
        return jax.vmap(optimizer.update, axes)(updates, state, params)

    return optax.GradientTransformation(lambda params: jax.vmap(optimizer.init)(params), update)


def incubation(
    stack: Stack, number: int, size: int, steps: Sequence[int], make_optimizer: MakeOptimizer
) -> list[GrowthStage]:
    """Train a deep network in parts, in three stages (Deep Incubation, arXiv 2212.04129).

    A shallow network with a layer for each part is trained; then each part in its place, all at the
    same time, by :func:`incubating_parts`; then the assembled network. What is not in ``layers``
    stays that of the shallow network until the last stage. (In the paper the first and the last
    part train it with their layers.)

    Args:
      stack: ``stack(depth)`` makes a network, as :func:`metajax.nn.layer_stack` does. Parameters
        are a dictionary; arrays in ``layers`` have a first axis of ``depth``, and all others are
        the same for every depth.
      number: parts.
      size: layers of a part.
      steps: of the three stages.
      make_optimizer: of each stage, by its steps.

    Returns:
      The stages, for :func:`in_growing_stages`. The second one predicts by the assembled network.

    Raises:
      ConfigError: there are fewer than two parts, or steps of other than three stages.
    """
    if number < 2:
        raise ConfigError("number", number, "2 parts or more")
    check_each("steps", steps, 3)
    shallow, apart, tuned = map(make_optimizer, steps)

    def assemble(before: Any, own: Params, key: Key[Array, ""]) -> Params:
        return assembled(before["meta"], before["parts"])

    parts = incubating_parts(stack, number, size)
    rule = moving_only(each_apart(apart), ["parts"])
    whole = smoothed_labels(stack(number * size))
    return [
        GrowthStage(smoothed_labels(stack(number)), shallow, steps[0]),
        GrowthStage(parts, rule, steps[1], change=handed_over("meta")),
        GrowthStage(whole, tuned, steps[2], change=with_params(assemble)),
    ]
