"""Residual networks whose feed-forward blocks are turned into experts and tuned."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    accuracy,
    check_sizes,
    cross_entropy,
    derive,
)
from metajax.learners.idle import not_adapted
from metajax.nn import mlp
from metajax.units import balance_loss, expert_ffn, top_k_gates, upcycle


class BlockRoutes(NamedTuple):
    """What the routers of all blocks decided.

    Attributes:
      probabilities: of each expert, a softmax over all of a block.
      weights: of each expert, 0 for those that are not used.
    """

    probabilities: Float[Array, "blocks n experts"]
    weights: Float[Array, "blocks n experts"]


def feed_forward_blocks(width: int, hidden: int, blocks: int, num_outputs: int) -> Network:
    """Make a residual network: a linear map, blocks that add to its values, and a linear head.

    A block adds ``down(relu(up(x)))`` to its inputs ``x``. Parameters are a dictionary of ``stem``,
    ``head`` and ``blocks``, by name, each with ``up`` and ``down``.

    Args:
      width: of the values that blocks add to.
      hidden: units of a block.
      blocks: how many.
      num_outputs: e.g. classes.

    Returns:
      The network, of inputs ``[n, features]``.

    Raises:
      ConfigError: a size is below 1.
    """
    check_sizes(width=width, hidden=hidden, blocks=blocks, num_outputs=num_outputs)
    stem, block, head = mlp([], width), mlp([hidden], width), mlp([], num_outputs)

    def init(key: Key[Array, ""], inputs: Float[Array, "n features"]) -> Params:
        between = jnp.zeros((1, width), inputs.dtype)
        made = {}
        for number in range(blocks):
            layer: Any = block.init(derive(key, f"block{number}"), between)
            made[f"block{number}"] = {"up": layer["Dense_0"], "down": layer["Dense_1"]}
        return {
            "stem": stem.init(derive(key, "stem"), inputs),
            "blocks": made,
            "head": head.init(derive(key, "head"), between),
        }

    def apply(params: Params, inputs: Float[Array, "n features"]) -> Float[Array, "n outputs"]:
        x = stem.apply(params["stem"], inputs)
        for layer in _in_order(params["blocks"]):
            x += block.apply({"Dense_0": layer["up"], "Dense_1": layer["down"]}, x)
        return head.apply(params["head"], x)

    return Network(init, apply)


def upcycle_blocks(
    params: Params,
    copies: int,
    parts: int,
    key: Key[Array, ""],
    router: Literal["repeated", "random"] = "repeated",
) -> Params:
    """Return a trained residual network with experts in place of each block.

    With the router of :func:`metajax.units.upcycle` the outputs stay the same, up to rounding.

    Args:
      params: of :func:`feed_forward_blocks`.
      copies: of each block.
      parts: experts that a copy is split into, and experts that each input uses.
      key: of the routers.
      router: "repeated", that of :func:`metajax.units.upcycle`; "random": an independent row for
        each expert, so that parts of different copies are mixed.

    Returns:
      The parameters that :func:`apply_experts` takes.

    Raises:
      ConfigError: a number is below 1, ``parts`` does not divide the hidden units, or there is no
        such router.
    """
    if router not in ("repeated", "random"):
        raise ConfigError("router", router, "'repeated' or 'random'")
    made = {}
    for name, block in params["blocks"].items():
        own = derive(key, name)
        experts = upcycle(block, copies, parts, own)
        if router == "random":
            kernel = experts["router"]["kernel"]
            rows = jax.random.normal(own, kernel.shape, kernel.dtype) * kernel.shape[0] ** -0.5
            experts["router"] = {"kernel": rows}
        made[name] = experts
    return {**params, "blocks": made}


def apply_experts(
    params: Params, inputs: Float[Array, "n features"], parts: int
) -> tuple[Float[Array, "n outputs"], BlockRoutes]:
    """Return the outputs of a network with experts in its blocks, and what its routers decided.

    Args:
      params: of :func:`upcycle_blocks`. The first axis of the experts' ``up`` and ``down`` may be
        sharded over a mesh.
      inputs: of the network.
      parts: experts that each input uses in each block.
    """
    x, routes = _linear(params["stem"], inputs), []
    for experts in _in_order(params["blocks"]):
        logits = x @ experts["router"]["kernel"]
        weights = top_k_gates(logits, parts, total=parts)
        routes.append(BlockRoutes(jax.nn.softmax(logits), weights))
        x += expert_ffn(experts, x, weights)
    return _linear(params["head"], x), BlockRoutes(*map(jnp.stack, zip(*routes, strict=True)))


def tuned_experts(
    network: Network,
    copies: int,
    parts: int,
    balance: float | Float[Array, ""] = 0.01,
    router: Literal["repeated", "random"] = "repeated",
) -> MetaLearner:
    """Train a classifier with experts in its blocks (MoE-tuning; Dynamic-DINO, arXiv 2507.17436).

    The loss is the cross-entropy and ``balance`` times the mean of
    :func:`metajax.units.balance_loss` over the blocks. One copy of one part has one expert that is
    always used: that is the network without experts, trained as it is.

    Args:
      network: of :func:`feed_forward_blocks`.
      copies: see :func:`upcycle_blocks`.
      parts: see :func:`upcycle_blocks`.
      balance: weight of even use.
      router: see :func:`upcycle_blocks`.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples`; it does not adapt. It starts
      from random weights: give it those of a trained network by :func:`upcycle_blocks`.
    """

    def init(key: Key[Array, ""], task: Examples) -> Params:
        dense = network.init(key, task.inputs)
        return upcycle_blocks(dense, copies, parts, derive(key, "routers"), router)

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return apply_experts(params, inputs, parts)[0]

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        logits, routes = apply_experts(params, task.inputs, parts)
        even = jnp.mean(jax.vmap(balance_loss)(*routes))
        value = cross_entropy(logits, task.targets) + balance * even
        return value, {"accuracy": accuracy(logits, task.targets)}

    return MetaLearner(init, not_adapted, predict, loss)


def _linear(params: Params, x: Float[Array, "n features"]) -> Float[Array, "n outputs"]:
    return mlp([], params["Dense_0"]["kernel"].shape[1]).apply(params, x)


def _in_order(blocks: dict[str, Params]) -> list[Params]:
    """Return the blocks by number; a transformed dictionary has ``block10`` before ``block2``."""
    return [blocks[f"block{number}"] for number in range(len(blocks))]
