"""The methods of test-time adaptation: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import optax

from metajax import continual
from metajax.core import Fraction, NonNegative, Positive
from metajax.systems.base import Entry, Method
from metajax.systems.shift.problem import Problem
from metajax.systems.shift.settings import Training
from metajax.systems.training import MOMENTUM


def trained(
    problem: Problem,
    training: Training,
    online: continual.Online,
    warm_up: continual.WarmUp | None = None,
) -> Method:
    """Return the method of an online predictor whose network is trained on source images."""
    optimizer, steps = training.make_optimizer(problem.source_steps), problem.source_steps
    algorithm = continual.source_training(problem.network, optimizer, steps, warm_up)
    return Method(algorithm, parts=online)


def source(problem: Problem, training: Training) -> Method:
    """Predict by the source network as it is: the baseline without adaptation."""
    return trained(problem, training, continual.frozen(problem.network, False))


def batch_statistics(problem: Problem, training: Training) -> Method:
    """Normalize by each batch's own statistics (Nado et al. 2020, arXiv 2006.10963)."""
    return trained(problem, training, continual.frozen(problem.network, True))


def tent(problem: Problem, training: Training, *, tent_lr: Positive = 1e-3) -> Method:
    """Adapt scales and biases of normalization by entropy (TENT; Wang et al., arXiv 2006.10726).

    Args:
      tent_lr: Learning rate of the steps on the stream, one a batch, by Adam.
    """
    online = continual.adapting(continual.tent(problem.network), optax.adam(tent_lr))
    return trained(problem, training, online)


def ecotta(
    problem: Problem,
    training: Training,
    *,
    warm_lr: Positive = 0.05,
    meta_lr: Positive = 1e-3,
    confident: Fraction = 0.4,
    regularizer: NonNegative = 0.5,
) -> Method:
    """Adapt small networks on top of frozen parts (EcoTTA; Song et al. 2023, arXiv 2303.01904).

    Args:
      warm_lr: Learning rate of the warm-up on source images, falling to 0 by a cosine.
      meta_lr: Learning rate of the steps on the stream, one a batch, by SGD with momentum.
      confident: How much of the largest entropy, that of a guess, a confident prediction stays
        below; only confident ones are learned from.
      regularizer: Factor of the drift away from the frozen parts.
    """
    networks = continual.meta_networks(problem.network)
    adaptation = continual.ecotta(networks, confident, regularizer)
    online = continual.adapting(adaptation, optax.sgd(meta_lr, MOMENTUM))
    warm_up = continual.warm_up(networks, training.make_warm_optimizer(warm_lr))
    return trained(problem, training, online, warm_up)


def warmed_networks(problem: Problem, training: Training, *, warm_lr: Positive = 0.05) -> Method:
    """Warm up EcoTTA's networks and never update them: a baseline for arXiv 2303.01904.

    Args:
      warm_lr: Learning rate of the warm-up on source images, falling to 0 by a cosine.
    """
    networks = continual.meta_networks(problem.network)
    warm_up = continual.warm_up(networks, training.make_warm_optimizer(warm_lr))
    return trained(problem, training, continual.warmed(networks), warm_up)


METHODS: dict[str, Entry] = {
    "source": source,
    "batch_statistics": batch_statistics,
    "tent": tent,
    "ecotta": ecotta,
    "warmed_networks": warmed_networks,
}
"""All methods of the family, the default first."""
