"""Methods for the condition ``classes``: models of the weights of a zoo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import optax

from metajax import learners
from metajax.core import Count, Network
from metajax.learners import WeightModel
from metajax.systems.base import Entry, Method
from metajax.systems.weights.class_tuples import class_mean_embedding
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


class ZooParts(NamedTuple):
    """What the evaluation reads of a model of weights.

    Attributes:
      network: of the zoo.
      embed: of a support.
      model: of the weights.
      optimizer: of the zoo.
      zoo_steps: that train the zoo.
      rivals: models of the same zoo that it is compared with, by name.
    """

    network: Network
    embed: functools.partial
    model: WeightModel
    optimizer: optax.GradientTransformation
    zoo_steps: int
    rivals: tuple[tuple[str, WeightModel], ...]


@dataclass(frozen=True)
class Denoiser:
    """The diffusion of latents."""

    components: Count = 64
    """Principal components of the zoo, fewer than its networks."""
    denoiser_hidden: tuple[Count, ...] = (256, 256)
    """Sizes of the denoiser's hidden layers."""
    noise_levels: Count = 100
    """Levels of noise."""
    batch: Count = 64
    """Networks of a step of the denoiser, drawn at random."""


DENOISER = Denoiser()


def _mean(embed: learners.Embed) -> WeightModel:
    """The mean of the zoo, whatever the task."""
    return learners.zoo_mean()


CLOSED: dict[str, Callable[[learners.Embed], WeightModel]] = {
    "weight_regression": learners.weight_regression,
    "nearest_network": learners.nearest_network,
    "zoo_mean": _mean,
}
"""Models that need no training."""


def _zoo_method(
    problem: Problem,
    training: Training,
    name: str,
    make: Callable[[learners.Embed], WeightModel] | None = None,
) -> Method:
    """The method that trains a zoo and a model of its weights, one of ``CLOSED`` by default."""
    of = problem.settings
    embed = functools.partial(
        class_mean_embedding,
        ways=of.ways,
        shape=problem.conditions.shape,
        size=of.embedding_size,
    )
    model = (make or CLOSED[name])(embed)
    algorithm = learners.zoo_training(
        problem.network,
        embed,
        model,
        zoo_steps=of.zoo_steps,
        optimizer=training.make_optimizer,
    )
    rivals = tuple((other, CLOSED[other](embed)) for other in CLOSED if other != name)
    optimizer = training.make_optimizer(of.zoo_steps)
    parts = ZooParts(problem.network, embed, model, optimizer, of.zoo_steps, rivals)
    return Method(algorithm, parts=parts)


def _diffusion(
    problem: Problem, training: Training, name: str, denoiser: Denoiser, **reader: Any
) -> Method:
    """A method that draws weights by a diffusion."""

    def make(embed: learners.Embed) -> WeightModel:
        return learners.weight_diffusion(
            problem.network,
            embed,
            size=denoiser.components,
            hidden=denoiser.denoiser_hidden,
            levels=denoiser.noise_levels,
            batch=denoiser.batch,
            **reader,
        )

    return _zoo_method(problem, training, name, make)


def weight_diffusion(
    problem: Problem, training: Training, *, denoiser: Denoiser = DENOISER
) -> Method:
    """Draw weights by a diffusion that reads class means (D2NWG; Soro et al., arXiv 2402.18153)."""
    return _diffusion(problem, training, "weight_diffusion", denoiser)


def set_diffusion(
    problem: Problem,
    training: Training,
    *,
    denoiser: Denoiser = DENOISER,
    attention_width: Count = 16,
) -> Method:
    """Draw weights by a diffusion that attends to the support (D2NWG, arXiv 2402.18153).

    Args:
      attention_width: Width of the attention over the support's images.
    """
    reader = {"attention": attention_width, "ways": problem.settings.ways}
    return _diffusion(problem, training, "set_diffusion", denoiser, **reader)


def weight_regression(problem: Problem, training: Training) -> Method:
    """Predict weights from class means by ridge regression: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, "weight_regression")


def nearest_network(problem: Problem, training: Training) -> Method:
    """Take the zoo's network of the nearest task: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, "nearest_network")


def zoo_mean(problem: Problem, training: Training) -> Method:
    """Take the mean of the zoo's networks: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, "zoo_mean")


METHODS: dict[str, Entry] = {
    "weight_diffusion": weight_diffusion,
    "set_diffusion": set_diffusion,
    "weight_regression": weight_regression,
    "nearest_network": nearest_network,
    "zoo_mean": zoo_mean,
}
"""The default first."""
