"""The methods of test-time adaptation: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from metajax import continual
from metajax.systems.base import Method
from metajax.systems.shift.problem import Problem
from metajax.systems.shift.settings import Training


class Parts(NamedTuple):
    """What the family's evaluation reads of a method.

    Attributes:
      online: what predicts the stream.
    """

    online: continual.Online


def trained(
    problem: Problem,
    training: Training,
    online: continual.Online,
    warm_up: continual.WarmUp | None = None,
) -> Method:
    """Return the method of an online predictor whose network is trained on source images."""
    optimizer = training.make_optimizer(problem.source_steps)
    steps = problem.source_steps
    algorithm = continual.source_training(problem.network, optimizer, steps, warm_up)
    return Method(algorithm, parts=Parts(online))


def source(problem: Problem, training: Training) -> Method:
    """Predict by the source network as it is: the baseline without adaptation."""
    return trained(problem, training, continual.frozen(problem.network, False))


def batch_statistics(problem: Problem, training: Training) -> Method:
    """Normalize by each batch's own statistics (Nado et al. 2020, arXiv 2006.10963)."""
    return trained(problem, training, continual.frozen(problem.network, True))


METHODS: dict[str, Callable[..., Method]] = {
    "source": source,
    "batch_statistics": batch_statistics,
}
"""All methods of the family, the default first."""
