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
    MetaLearner,
    Network,
    Params,
    Task,
    cross_entropy,
)
from metajax.learners.growing import GrowthStage, in_growing_stages, with_params
from metajax.learners.stages import moving_only, stage_lengths

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


class ModelStage(NamedTuple):
    """A stage of the training of a model of weights, all on the same tasks.

    Attributes:
      learner: whose loss is descended; all stages have the same parameters.
      moving: entries of its parameters that this stage moves.
      begin: ``begin(zoo, model) -> model`` at the first step; ``zoo`` is None but in the first
        stage of a model.
      share: part of the model's steps; the last stage has all that are left.
    """

    learner: MetaLearner
    moving: tuple[str, ...]
    begin: Callable[[Params | None, Params], Params]
    share: float = 1.0


class WeightModel(NamedTuple):
    """What gives a network for a task from a zoo.

    Attributes:
      generate: ``generate(zoo, model, support, key) -> weights`` for one task.
      stages: in which it is trained after the zoo; empty: it is not.
      draws: whether ``generate`` gives other weights for another key.
      decoded: ``decoded(model, rows[m, n]) -> rows[m, n]``, what its code leaves of weights; None:
        they are not encoded.
      variants: other models by name, which use the same parameters.
    """

    generate: Callable[[Params, Params, Examples, Key[Array, ""]], Params]
    stages: tuple[ModelStage, ...] = ()
    draws: bool = False
    decoded: Callable[[Params, Array], Array] | None = None
    variants: tuple[tuple[str, WeightModel], ...] = ()


def zoo_training(
    network: Network,
    embed: Embed,
    model: WeightModel,
    *,
    zoo_steps: int,
    make_optimizer: Callable[[int | None], optax.GradientTransformation],
    model_steps: int = 1,
) -> Algorithm:
    """Make the algorithm that trains a zoo and then a model of its weights.

    Args:
      network: of the zoo.
      embed: of a network's support.
      model: of the weights.
      zoo_steps: steps of the zoo; all others are the model's. A model that is not trained leaves
        everything as it is in them.
      make_optimizer: of a stage, by its steps, and of the last stage for None.
      model_steps: steps of the model, of which its stages but the last have their shares, each one
        step or more.

    Returns:
      The algorithm. Its tasks are those of :func:`network_zoo` with a further axis of size 1 in
      front; its parameters are :class:`GrowthParams`, ``networks[0]`` the zoo and ``networks[-1]``
      the model.

    Raises:
      ConfigError: the zoo has no step.
    """

    def of_model(number: int, stage: ModelStage) -> GrowthStage:
        def begin(before: Params, own: Params, key: Key[Array, ""]) -> Params:
            return stage.begin(before, own) if number == 0 else stage.begin(None, before)

        last = number == len(stages) - 1
        rule = moving_only(make_optimizer(None if last else lengths[number]), stage.moving)
        return GrowthStage(stage.learner, rule, lengths[number], change=with_params(begin))

    idle = ModelStage(idle_learner(), (), lambda zoo, model: model)
    stages = model.stages or (idle,)
    lengths = stage_lengths(model_steps, [stage.share for stage in stages[:-1]])
    rules = moving_only(make_optimizer(zoo_steps), ["networks"])
    zoo = GrowthStage(network_zoo(network, embed), rules, zoo_steps)
    return in_growing_stages([zoo, *(of_model(*each) for each in enumerate(stages))])


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
