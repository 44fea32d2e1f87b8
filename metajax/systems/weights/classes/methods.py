"""Methods for the condition ``classes``: models of the weights of a zoo."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated

from metajax import learners
from metajax.core import Count, Range
from metajax.learners import Embed, LatentDiffusion, SetReader, WeightModel
from metajax.systems.base import Entry, Method
from metajax.systems.weights.classes.problem import TupleProblem
from metajax.systems.weights.settings import Training

DIFFUSION = LatentDiffusion()


def _zoo_method(
    problem: TupleProblem,
    training: Training,
    make: Callable[[Embed], WeightModel],
    solve_head: bool = False,
) -> Method:
    """The method that trains a zoo and a model of its weights."""
    of = problem.settings
    zoo = learners.modeled_zoo(
        problem.network,
        problem.embed,
        make,
        ways=of.ways,
        head=f"Dense_{of.layers}",
        solve_head=solve_head,
        zoo_steps=of.zoo_steps,
        model_steps=training.steps - of.zoo_steps,
        make_optimizer=training.make_optimizer,
    )
    return Method(zoo.algorithm, parts=zoo)


def weight_diffusion(
    problem: TupleProblem,
    training: Training,
    *,
    diffusion: LatentDiffusion = DIFFUSION,
    solve_head: bool = False,
) -> Method:
    """Draw weights by a diffusion that reads class means (D2NWG; Soro et al., arXiv 2402.18153).

    What is drawn moves down the loss on the support, which is not in the paper; 0 moves: as there.

    Args:
      solve_head: Solve for the last layer on the support in closed form.
    """
    make = functools.partial(learners.weight_diffusion, problem.network, diffusion=diffusion)
    return _zoo_method(problem, training, make, solve_head)


def set_diffusion(
    problem: TupleProblem,
    training: Training,
    *,
    diffusion: LatentDiffusion = DIFFUSION,
    solve_head: bool = False,
    attention_width: Count = 16,
    align_share: Annotated[float, Range(0, below=1)] = 0.0,
) -> Method:
    """Draw weights by a diffusion that attends to the support (D2NWG, arXiv 2402.18153).

    What is drawn moves down the loss on the support, which is not in the paper; 0 moves: as there.

    Args:
      solve_head: Solve for the last layer on the support in closed form.
      attention_width: Width of the attention over the support's images.
      align_share: Part of the model's steps in which a contrastive loss aligns the encoder of the
        support with the latents, as in the paper; 0: it is trained with the denoiser.
    """
    reader = SetReader(attention_width, problem.settings.ways, align_share)
    make = functools.partial(
        learners.weight_diffusion, problem.network, diffusion=diffusion, reader=reader
    )
    return _zoo_method(problem, training, make, solve_head)


def weight_regression(
    problem: TupleProblem, training: Training, *, solve_head: bool = False
) -> Method:
    """Predict weights from class means by ridge regression: a baseline for arXiv 2402.18153.

    Args:
      solve_head: Solve for the last layer on the support in closed form.
    """
    return _zoo_method(problem, training, learners.weight_regression, solve_head)


def nearest_network(problem: TupleProblem, training: Training) -> Method:
    """Take the zoo's network of the nearest task: a baseline for arXiv 2402.18153."""
    return _zoo_method(problem, training, learners.nearest_network)


def zoo_mean(problem: TupleProblem, training: Training) -> Method:
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
