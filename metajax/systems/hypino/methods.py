"""The methods of learning to solve PDEs: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

from jaxtyping import Array, Key

from metajax.core import Count, Network, Params
from metajax.nn import image_function
from metajax.systems.base import Entry, Method
from metajax.systems.hypino.decoders import (
    fourier_image,
    starting,
    unet_image,
    weights_decoder,
)
from metajax.systems.hypino.distribution import drawn, first_maps
from metajax.systems.hypino.learner import make_learner
from metajax.systems.hypino.network import Target, make_network, target_of
from metajax.systems.hypino.problem import Problem
from metajax.systems.hypino.settings import TargetSizes
from metajax.systems.hypino.solved import (
    bank_of_features,
    make_solved_learner,
    tanh_network,
)
from metajax.systems.hypino.start import from_shipped
from metajax.systems.training import Training

SIZES = TargetSizes()


def weights(problem: Problem, training: Training, *, sizes: TargetSizes = SIZES) -> Method:
    """Make the weights of a network that is the solution (HyPINO; Bischof 2025, arXiv 2509.05117).

    Heads behind the encoder make a tensor of it each.
    """
    target = target_of(sizes)
    decoder = weights_decoder(problem.settings, starting(target.function), sizes.head_hidden)
    return solving(problem, training, decoder, target)


def unet(problem: Problem, training: Training) -> Method:
    """Make an image of the solution by a U-Net's decoder (Ronneberger 2015, arXiv 1505.04597)."""
    return imaging(problem, training, unet_image(problem.settings))


def pino(problem: Problem, training: Training) -> Method:
    """Make an image by a Fourier neural operator (PINO; Li et al. 2021, arXiv 2111.03794)."""
    return imaging(problem, training, fourier_image(problem.settings))


def solved(
    problem: Problem,
    training: Training,
    *,
    sizes: TargetSizes = SIZES,
    start: Literal["drawn", "shipped"] = "drawn",
) -> Method:
    """Make a solution's features and solve for their head (Bertinetto 2019, arXiv 1805.08136).

    The network of `weights`, trained through the solve.

    Args:
      start: What training starts from: weights as drawn, or those that come with the package, of
        preset cpu's sizes.
    """
    of, target = problem.settings, target_of(sizes)
    decoder = weights_decoder(of, starting(target.function), sizes.head_hidden)
    network = make_network(of, decoder)
    if start == "shipped":
        network = from_shipped(network, of.grid)
    return with_head(problem, training, network, target)


def chosen(
    problem: Problem, training: Training, *, candidates: Count = 512, features: Count = 32
) -> Method:
    """Choose a problem's features among learned ones by what they leave of it (Chen et al. 1989).

    Orthogonal least squares chooses, and the head is solved; the candidates are trained through
    the solve. It reads no images.

    Args:
      candidates: Features that are learned, features or more.
      features: Features that are chosen for a problem.
    """
    network = bank_of_features(candidates, features)
    return with_head(problem, training, network, Target(tanh_network(features), features))


def distribution(
    problem: Problem, training: Training, *, head_hidden: Count = 64, features: Count = 32
) -> Method:
    """Draw a problem's features by a distribution made for it (Sinha & Duchi, NeurIPS 2016).

    The head is solved, and the hypernetwork trained through the solve: it chooses the scale,
    direction and center of random features, which are drawn again for each problem.

    Args:
      head_hidden: Hidden units of the network that makes one tensor of the distribution.
      features: Features that are drawn.
    """
    of = problem.settings
    network = make_network(of, weights_decoder(of, first_maps, head_hidden))
    target = Target(tanh_network(features), features)
    return with_head(problem, training, network, target, functools.partial(drawn, features))


def with_head(
    problem: Problem,
    training: Training,
    network: Network,
    target: Target,
    draw: Callable[[Params, Key[Array, ""]], Params] | None = None,
) -> Method:
    """Return the method that makes features by a network and solves for their head."""
    learner = make_solved_learner(network, target, problem.settings.grid, draw=draw)
    return Method(training.descend(learner), learner, parts=target)


def solving(problem: Problem, training: Training, decoder: Network, target: Target) -> Method:
    """Return the method that reads problems by the encoder and makes solutions by a decoder."""
    network = make_network(problem.settings, decoder)
    learner = make_learner(network, target.function, problem.settings.grid)
    return Method(training.descend(learner), learner, parts=target)


def imaging(problem: Problem, training: Training, decoder: Network) -> Method:
    """Return the method that makes an image of the solution by a decoder."""
    return solving(problem, training, decoder, Target(image_function(problem.settings.grid)))


METHODS: dict[str, Entry] = {
    "weights": weights,
    "unet": unet,
    "pino": pino,
    "solved": solved,
    "chosen": chosen,
    "distribution": distribution,
}
"""All methods by name, the default first. A new one joins by a line here."""
