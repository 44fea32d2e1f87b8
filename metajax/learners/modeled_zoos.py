"""A zoo with a model of its weights, and the models of the same zoo that it is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import optax

from metajax.core import Algorithm, Network
from metajax.learners.maml_family import Selection
from metajax.learners.weight_models import (
    nearest_network,
    weight_regression,
    with_solved_head,
    zoo_mean,
)
from metajax.learners.zoo_stages import Embed, WeightModel, zoo_training

CLOSED: dict[str, Callable[[Embed], WeightModel]] = {
    "weight_regression": weight_regression,
    "nearest_network": nearest_network,
    "zoo_mean": zoo_mean,
}
"""Models that need no training."""


@dataclass(frozen=True, eq=False)
class ModeledZoo:
    """A zoo, a model of its weights, and what the model is compared with.

    It is equal to itself alone, so that it can be a static argument of compiled functions.

    Attributes:
      algorithm: which trains the zoo, and then the model; see :func:`zoo_training`.
      network: of the zoo.
      embed: of a support.
      model: of the weights.
      rivals: other models of the same zoo, by name.
      optimizer: of the zoo.
      zoo_steps: that train the zoo.
    """

    algorithm: Algorithm
    network: Network
    embed: Embed
    model: WeightModel
    rivals: tuple[tuple[str, WeightModel], ...]
    optimizer: optax.GradientTransformation
    zoo_steps: int


def modeled_zoo(
    network: Network,
    embed: Embed,
    make: Callable[[Embed], WeightModel],
    *,
    ways: int,
    head: Selection,
    solve_head: bool = False,
    zoo_steps: int,
    model_steps: int,
    make_optimizer: Callable[[int | None], optax.GradientTransformation],
) -> ModeledZoo:
    """Make a zoo with a model of its weights, and with rivals that read the same zoo.

    Rivals are the model's own variants, the models of :data:`CLOSED`, and the regression among them
    with a solved head. The model itself is none of them.

    Args:
      network: of the zoo, inputs to logits.
      embed: of a network's support.
      make: ``make(embed) -> model`` of the weights.
      ways: classes.
      head: what of the network's parameters is the head; see :data:`~metajax.learners.Selection`.
      solve_head: solve for the head of the model's networks too, by :func:`with_solved_head`.
      zoo_steps: steps of the zoo.
      model_steps: steps of the model after it.
      make_optimizer: as for :func:`zoo_training`.

    Returns:
      The zoo, its model and the rivals.

    Raises:
      ConfigError: the zoo has no step.
    """

    def solved(model: WeightModel) -> WeightModel:
        return with_solved_head(model, network, ways, head)

    made = make(embed)
    model = solved(made) if solve_head else made
    algorithm = zoo_training(
        network,
        embed,
        model,
        zoo_steps=zoo_steps,
        make_optimizer=make_optimizer,
        model_steps=model_steps,
    )
    rivals = dict(made.variants)
    if not (solve_head and make is weight_regression):
        rivals["solved_regression"] = solved(weight_regression(embed))
    rivals |= {name: of(embed) for name, of in CLOSED.items() if solve_head or of is not make}
    rule = make_optimizer(zoo_steps)
    return ModeledZoo(algorithm, network, embed, model, tuple(rivals.items()), rule, zoo_steps)
