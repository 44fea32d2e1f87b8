"""Methods for the condition ``classes``: models of the weights of a zoo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import optax

from metajax import learners
from metajax.core import Count, Network, NonNegative, Number, ProperFraction, Range
from metajax.learners import Autoencoding, SetReader, WeightModel
from metajax.systems.base import Entry, Method
from metajax.systems.weights.classes.problem import class_mean_embedding
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
    """Numbers of a latent; principal components are fewer than the zoo's networks."""
    latents: Literal["principal", "autoencoder"] = "principal"
    """Encode weights by their principal components, or by a variational autoencoder as in the
    paper."""
    coder_hidden: Count = 256
    """Units of the autoencoder's hidden layers."""
    coder_share: ProperFraction = 0.5
    """Part of the model's steps in which the autoencoder is trained."""
    divergence: NonNegative = 1e-2
    """Factor of the divergence of the autoencoder's latents from a standard normal distribution."""
    denoiser_hidden: tuple[Count, ...] = (256, 256)
    """Sizes of the denoiser's hidden layers."""
    noise_levels: Count = 100
    """Levels of noise."""
    batch: Count = 64
    """Networks of a step of the denoiser, drawn at random."""
    moves: Number = 30
    """Checked steps that drawn latents take down the support's loss; 0: the published draws."""
    solve_head: bool = False
    """Solve for the last layer on the support in closed form."""


DENOISER = Denoiser()


def _solved(problem: Problem, model: WeightModel) -> WeightModel:
    """A model whose networks have the last layer that is best on the support."""
    last = f"Dense_{problem.settings.layers}"
    return learners.with_solved_head(model, problem.network, problem.settings.ways, last)


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
    solve_head: bool = False,
) -> Method:
    """The method that trains a zoo and a model of its weights, one of ``CLOSED`` by default."""
    of = problem.settings
    embed = functools.partial(
        class_mean_embedding,
        ways=of.ways,
        shape=problem.conditions.shape,
        size=of.embedding_size,
    )
    made = (make or CLOSED[name])(embed)
    model = _solved(problem, made) if solve_head else made
    algorithm = learners.zoo_training(
        problem.network,
        embed,
        model,
        zoo_steps=of.zoo_steps,
        optimizer=training.make_optimizer,
        model_steps=training.steps - of.zoo_steps,
    )
    rivals = dict(made.variants)
    if not (name == "weight_regression" and solve_head):
        rivals["solved_regression"] = _solved(problem, learners.weight_regression(embed))
    rivals |= {other: CLOSED[other](embed) for other in CLOSED if other != name or solve_head}
    optimizer = training.make_optimizer(of.zoo_steps)
    parts = ZooParts(problem.network, embed, model, optimizer, of.zoo_steps, tuple(rivals.items()))
    return Method(algorithm, parts=parts)


def _diffusion(
    problem: Problem,
    training: Training,
    name: str,
    denoiser: Denoiser,
    reader: SetReader | None = None,
) -> Method:
    """A method that draws weights by a diffusion."""
    autoencoding = None
    if denoiser.latents == "autoencoder":
        autoencoding = Autoencoding(
            denoiser.coder_hidden, denoiser.divergence, denoiser.coder_share
        )

    def make(embed: learners.Embed) -> WeightModel:
        return learners.weight_diffusion(
            problem.network,
            embed,
            size=denoiser.components,
            hidden=denoiser.denoiser_hidden,
            levels=denoiser.noise_levels,
            batch=denoiser.batch,
            reader=reader,
            autoencoding=autoencoding,
            moves=denoiser.moves,
        )

    return _zoo_method(problem, training, name, make, denoiser.solve_head)


def weight_diffusion(
    problem: Problem, training: Training, *, denoiser: Denoiser = DENOISER
) -> Method:
    """Draw weights by a diffusion that reads class means (D2NWG; Soro et al., arXiv 2402.18153).

    What is drawn moves down the loss on the support, which is not in the paper; 0 moves: as there.
    """
    return _diffusion(problem, training, "weight_diffusion", denoiser)


def set_diffusion(
    problem: Problem,
    training: Training,
    *,
    denoiser: Denoiser = DENOISER,
    attention_width: Count = 16,
    align_share: Annotated[float, Range(0, below=1)] = 0.0,
) -> Method:
    """Draw weights by a diffusion that attends to the support (D2NWG, arXiv 2402.18153).

    What is drawn moves down the loss on the support, which is not in the paper; 0 moves: as there.

    Args:
      attention_width: Width of the attention over the support's images.
      align_share: Part of the model's steps in which a contrastive loss aligns the encoder of the
        support with the latents, as in the paper; 0: it is trained with the denoiser.
    """
    reader = SetReader(attention_width, problem.settings.ways, align_share)
    return _diffusion(problem, training, "set_diffusion", denoiser, reader)


def weight_regression(problem: Problem, training: Training, *, solve_head: bool = False) -> Method:
    """Predict weights from class means by ridge regression: a baseline for arXiv 2402.18153.

    Args:
      solve_head: Solve for the last layer on the support in closed form.
    """
    return _zoo_method(problem, training, "weight_regression", solve_head=solve_head)


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
