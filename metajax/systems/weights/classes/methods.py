"""Methods for the condition ``classes``: models of the weights of a zoo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

from metajax import learners
from metajax.core import Count, NonNegative, Number, ProperFraction, Range
from metajax.learners import Autoencoding, Embed, SetReader, WeightModel
from metajax.systems.base import Entry, Method
from metajax.systems.weights.classes.problem import class_mean_embedding
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


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


def _zoo_method(
    problem: Problem,
    training: Training,
    make: Callable[[Embed], WeightModel],
    solve_head: bool = False,
) -> Method:
    """The method that trains a zoo and a model of its weights."""
    of = problem.settings
    embed = functools.partial(
        class_mean_embedding, ways=of.ways, shape=problem.conditions.shape, size=of.embedding_size
    )
    zoo = learners.modeled_zoo(
        problem.network,
        embed,
        make,
        ways=of.ways,
        head=f"Dense_{of.layers}",
        solve_head=solve_head,
        zoo_steps=of.zoo_steps,
        model_steps=training.steps - of.zoo_steps,
        optimizer=training.make_optimizer,
    )
    return Method(zoo.algorithm, parts=zoo)


def _diffusion(
    problem: Problem, training: Training, denoiser: Denoiser, reader: SetReader | None = None
) -> Method:
    """A method that draws weights by a diffusion."""
    autoencoding = Autoencoding(denoiser.coder_hidden, denoiser.divergence, denoiser.coder_share)
    make = functools.partial(
        learners.weight_diffusion,
        problem.network,
        size=denoiser.components,
        hidden=denoiser.denoiser_hidden,
        levels=denoiser.noise_levels,
        batch=denoiser.batch,
        reader=reader,
        autoencoding=autoencoding if denoiser.latents == "autoencoder" else None,
        moves=denoiser.moves,
    )
    return _zoo_method(problem, training, make, denoiser.solve_head)


def weight_diffusion(
    problem: Problem, training: Training, *, denoiser: Denoiser = DENOISER
) -> Method:
    """Draw weights by a diffusion that reads class means (D2NWG; Soro et al., arXiv 2402.18153).

    What is drawn moves down the loss on the support, which is not in the paper; 0 moves: as there.
    """
    return _diffusion(problem, training, denoiser)


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
    return _diffusion(problem, training, denoiser, reader)


def weight_regression(problem: Problem, training: Training, *, solve_head: bool = False) -> Method:
    """Predict weights from class means by ridge regression: a baseline for arXiv 2402.18153.

    Args:
      solve_head: Solve for the last layer on the support in closed form.
    """
    return _zoo_method(problem, training, learners.weight_regression, solve_head)


def nearest_network(problem: Problem, training: Training) -> Method:
    """Take the zoo's network of the nearest task: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, learners.nearest_network)


def zoo_mean(problem: Problem, training: Training) -> Method:
    """Take the mean of the zoo's networks: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, learners.zoo_mean)


METHODS: dict[str, Entry] = {
    "weight_diffusion": weight_diffusion,
    "set_diffusion": set_diffusion,
    "weight_regression": weight_regression,
    "nearest_network": nearest_network,
    "zoo_mean": zoo_mean,
}
"""The default first."""
