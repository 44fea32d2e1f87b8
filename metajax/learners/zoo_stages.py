"""Zoos: networks for many tasks from one initialization, and what is trained of their weights.

The parameters of a zoo are a dict: ``start``, the initialization; ``networks``, with a leading
axis; and ``embeddings``, a description of each network's task.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from metajax.core import (
    Algorithm,
    Examples,
    GradientState,
    MetaLearner,
    Network,
    Params,
    Task,
    cross_entropy,
)
from metajax.hypernet import Principal
from metajax.learners.growing import GrowthStage, in_growing_stages
from metajax.learners.stages import moving_only

Embed = Callable[[Examples], Float[Array, " d"]]
"""``embed(support) -> embedding`` of one task; its order of classes matters."""


def network_zoo(network: Network, embed: Embed) -> MetaLearner:
    """Train a network for each of many tasks, all from one initialization.

    The loss is the sum over networks. So each has the gradient that it would have alone, and with
    an optimizer that treats each weight by itself, such as Adam, it is the network that it would be
    alone.

    Args:
      network: inputs to logits.
      embed: of a network's support.

    Returns:
      The learner. A task has a leading axis of networks: as support, images of each network's
      classes; as query, the images of a step. It does not adapt.
    """

    def init(key: Key[Array, ""], task: Task) -> Params:
        start = network.init(key, jax.tree.map(lambda leaf: leaf[0], task.query).inputs)
        num = len(task.query.targets)
        return {
            "start": start,
            "networks": repeated(start, num),
            "embeddings": jax.vmap(embed)(task.support),
        }

    def one(params: Params, query: Examples) -> Float[Array, ""]:
        return cross_entropy(network.apply(params, query.inputs), query.targets)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        return jnp.sum(jax.vmap(one)(params["networks"], task.query)), {}

    def predict(params: Params, adapted: Params, inputs: Array) -> Array:
        return network.apply(adapted, inputs)

    def adapt(params: Any, support: Examples, key: Key[Array, ""]) -> Params:
        return params["start"]

    return MetaLearner(init, adapt, predict, loss)


class WeightModel(NamedTuple):
    """What gives a network for a task from a zoo.

    Attributes:
      generate: ``generate(zoo, model, support, key) -> weights`` for one task.
      learner: what is trained after the zoo, on the same tasks; None: nothing is.
      hand_over: ``hand_over(zoo, model) -> model``, once, when the zoo is trained; None: nothing.
      moving: entries of its parameters that training moves.
      draws: whether ``generate`` gives other weights for another key.
      code: ``code(model) -> Principal``, by which weights are encoded; None: they are not.
    """

    generate: Callable[[Params, Params, Examples, Key[Array, ""]], Params]
    learner: MetaLearner | None = None
    hand_over: Callable[[Params, Params], Params] | None = None
    moving: tuple[str, ...] = ()
    draws: bool = False
    code: Callable[[Params], Principal] | None = None


def zoo_training(
    network: Network,
    embed: Embed,
    model: WeightModel,
    *,
    zoo_steps: int,
    optimizer: Callable[[int | None], optax.GradientTransformation],
) -> Algorithm:
    """Make the algorithm that trains a zoo and then a model of its weights.

    Args:
      network: of the zoo.
      embed: of a network's support.
      model: of the weights.
      zoo_steps: steps of the zoo; all others are the model's. A model that is not trained leaves
        everything as it is in them.
      optimizer: ``optimizer(steps)``, that of the zoo for its steps, and that of the model for
        None.

    Returns:
      The algorithm. Its tasks are those of :func:`network_zoo` with a further axis of size 1 in
      front; its parameters are :class:`GrowthParams`, ``networks[0]`` the zoo and ``networks[1]``
      the model.

    Raises:
      ConfigError: the zoo has no step.
    """

    def given(learner: MetaLearner) -> Callable[[Array], MetaLearner]:
        return lambda done: learner

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        if model.hand_over is None:
            return own
        return own._replace(params=model.hand_over(before.params, own.params))

    rules = moving_only(optimizer(zoo_steps), ["networks"])
    zoo = GrowthStage(given(network_zoo(network, embed)), rules, zoo_steps)
    learner = model.learner or idle_learner()
    moving = moving_only(optimizer(None), model.moving)
    after = GrowthStage(given(learner), moving, 1, change=change)
    return in_growing_stages([zoo, after])


def idle_learner() -> MetaLearner:
    """Return a learner that has nothing to learn: its loss is 0."""

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        return jnp.sum(params["nothing"]), {}

    return MetaLearner(
        lambda key, task: {"nothing": jnp.zeros(1)},
        lambda params, support, key: params,
        lambda params, adapted, inputs: inputs,
        loss,
    )


def repeated(params: Params, num: int) -> Params:
    """Return some parameters several times, on a leading axis.

    Args:
      params: of one network.
      num: how many times.
    """
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (num, *leaf.shape)), params)


def flat_weights(networks: Params) -> Float[Array, "m n"]:
    """Return the weights of networks as one row each.

    Args:
      networks: parameters with a leading axis.
    """
    return jax.vmap(lambda params: ravel_pytree(params)[0])(networks)


def weights_from(row: Float[Array, " n"], like: Params) -> Params:
    """Return a row of :func:`flat_weights` as the parameters of a network.

    Args:
      row: of one network.
      like: parameters of the same shapes.
    """
    return ravel_pytree(like)[1](row)
