"""The methods of learning to solve PDEs: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import Count, Network, Number, Params
from metajax.nn import PINN, fourier_operator, image_function, modified_mlp, unet_decoder
from metajax.systems.base import Entry, Method
from metajax.systems.hypino.decoders import image_decoder, weights_decoder
from metajax.systems.hypino.distribution import drawn, first_maps
from metajax.systems.hypino.learner import make_learner
from metajax.systems.hypino.network import Target, make_network
from metajax.systems.hypino.problem import Problem
from metajax.systems.hypino.solved import (
    bank_of_features,
    make_solved_learner,
    tanh_network,
)
from metajax.systems.hypino.start import from_shipped
from metajax.systems.training import Training

MODES, LAYERS = 12, 4
"""Frequencies and layers of the Fourier neural operator, as in arXiv 2010.08895, section 5."""


def weights(
    problem: Problem,
    training: Training,
    *,
    head_hidden: Count = 64,
    target_width: Count = 32,
    target_layers: Number = 3,
) -> Method:
    """Make the weights of a network that is the solution (HyPINO; Bischof 2025, arXiv 2509.05117).

    Args:
      head_hidden: Hidden units of the network that makes one tensor of the target.
      target_width: Units of the target network's layers.
      target_layers: Its layers with skips.
    """
    target = modified_mlp(width=target_width, layers=target_layers)
    decoder = weights_decoder(problem.settings, starting(target), head_hidden)
    return solving(problem, training, decoder, Target(target, target_width))


def unet(problem: Problem, training: Training) -> Method:
    """Make an image of the solution by a U-Net's decoder (Ronneberger 2015, arXiv 1505.04597)."""
    of = problem.settings
    network = unet_decoder(
        channels=of.width // 2, remat=of.remat, dtype=jnp.bfloat16 if of.bfloat16 else None
    )
    return solving(problem, training, image_decoder(network), Target(image_function(of.grid)))


def pino(problem: Problem, training: Training) -> Method:
    """Make an image by a Fourier neural operator (PINO; Li et al. 2021, arXiv 2111.03794)."""
    of = problem.settings
    network = fourier_operator(
        channels=of.width // 2,
        modes=min(MODES, (of.grid + 1) // 2),
        layers=LAYERS,
        padding=of.grid // 8,
        remat=of.remat,
        dtype=jnp.bfloat16 if of.bfloat16 else None,
    )
    return solving(problem, training, image_decoder(network), Target(image_function(of.grid)))


def solved(
    problem: Problem,
    training: Training,
    *,
    head_hidden: Count = 64,
    target_width: Count = 32,
    target_layers: Number = 3,
    start: Literal["drawn", "shipped"] = "drawn",
) -> Method:
    """Make a solution's features and solve for their head (Bertinetto 2019, arXiv 1805.08136).

    The network of `weights`, trained through the solve.

    Args:
      head_hidden: Hidden units of the network that makes one tensor of the target.
      target_width: Units of the target network's layers, its features.
      target_layers: Its layers with skips.
      start: What training starts from: weights as drawn, or those that come with the package, of
        preset cpu's sizes.
    """
    of, target = problem.settings, modified_mlp(width=target_width, layers=target_layers)
    network = make_network(of, weights_decoder(of, starting(target), head_hidden))
    if start == "shipped":
        network = from_shipped(network, of.grid)
    return with_head(problem, training, network, Target(target, target_width))


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


def starting(target: PINN) -> Callable[[Key[Array, ""]], Params]:
    """How a target network starts by itself."""
    return functools.partial(target.init, points=jnp.zeros((1, 2)))


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


METHODS: dict[str, Entry] = {
    "weights": weights,
    "unet": unet,
    "pino": pino,
    "solved": solved,
    "chosen": chosen,
    "distribution": distribution,
}
"""All methods by name, the default first. A new one joins by a line here."""
