"""Methods for networks of classes: models of the weights of a zoo."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

import optax

from metajax import learners
from metajax.core import Count, Network
from metajax.learners import WeightModel
from metajax.systems.base import Method
from metajax.systems.weights.class_tuples import ClassTuples, class_mean_embedding
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
    """

    network: Network
    embed: functools.partial
    model: WeightModel
    optimizer: optax.GradientTransformation
    zoo_steps: int


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


def _embedding(problem: Problem) -> functools.partial:
    """The description of a task by its support."""
    assert isinstance(problem.conditions, ClassTuples)
    of = problem.settings
    return functools.partial(
        class_mean_embedding,
        ways=of.ways,
        shape=problem.conditions.shape,
        size=of.embedding_size,
    )


def _zoo_method(
    problem: Problem, training: Training, embed: functools.partial, model: WeightModel
) -> Method:
    """The method that trains a zoo and a model of its weights."""
    zoo_steps = problem.settings.zoo_steps
    algorithm = learners.zoo_training(
        problem.network,
        embed,
        model,
        zoo_steps=zoo_steps,
        optimizer=training.make_optimizer,
    )
    optimizer = training.make_optimizer(zoo_steps)
    return Method(algorithm, parts=ZooParts(problem.network, embed, model, optimizer, zoo_steps))


def weight_diffusion(
    problem: Problem, training: Training, *, denoiser: Denoiser = DENOISER
) -> Method:
    """Draw weights by a diffusion that reads class means (D2NWG; Soro et al., arXiv 2402.18153)."""
    problem.need("weight_diffusion", "classes")
    embed = _embedding(problem)
    model = learners.weight_diffusion(
        problem.network,
        embed,
        size=denoiser.components,
        hidden=denoiser.denoiser_hidden,
        levels=denoiser.noise_levels,
        batch=denoiser.batch,
    )
    return _zoo_method(problem, training, embed, model)


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
    problem.need("set_diffusion", "classes")
    embed = _embedding(problem)
    model = learners.weight_diffusion(
        problem.network,
        embed,
        size=denoiser.components,
        hidden=denoiser.denoiser_hidden,
        levels=denoiser.noise_levels,
        batch=denoiser.batch,
        attention=attention_width,
        ways=problem.settings.ways,
    )
    return _zoo_method(problem, training, embed, model)


def weight_regression(problem: Problem, training: Training) -> Method:
    """Predict weights from class means by ridge regression: a baseline for arXiv 2402.18153."""
    problem.need("weight_regression", "classes")
    embed = _embedding(problem)
    return _zoo_method(problem, training, embed, learners.weight_regression(embed))


def nearest_network(problem: Problem, training: Training) -> Method:
    """Take the zoo's network of the nearest task: a baseline for arXiv 2402.18153."""
    problem.need("nearest_network", "classes")
    embed = _embedding(problem)
    return _zoo_method(problem, training, embed, learners.nearest_network(embed))


def zoo_mean(problem: Problem, training: Training) -> Method:
    """Take the mean of the zoo's networks: a baseline for arXiv 2402.18153."""
    problem.need("zoo_mean", "classes")
    return _zoo_method(problem, training, _embedding(problem), learners.zoo_mean())


ZOO_METHODS = {
    "weight_diffusion": weight_diffusion,
    "set_diffusion": set_diffusion,
    "weight_regression": weight_regression,
    "nearest_network": nearest_network,
    "zoo_mean": zoo_mean,
}
"""Methods for the condition ``classes``."""
