"""Methods for the condition ``angles``."""

from __future__ import annotations

from dataclasses import dataclass

from metajax import learners
from metajax.core import Count, MetaLearner, ProperFraction
from metajax.hypernet import magnitude_invariant
from metajax.systems.base import Entry
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


@dataclass(frozen=True)
class Layers:
    """Hidden layers of a hypernetwork."""

    hidden: tuple[Count, ...] = (16, 64)
    """Sizes of the hypernetwork's hidden layers."""
    rms_norm: bool = False
    """Divide the last hidden layer by its root mean square."""


LAYERS = Layers()


def mip(
    problem: Problem,
    training: Training,
    *,
    layers: Layers = LAYERS,
    encoding: bool = True,
    residual: bool = True,
    base_share: ProperFraction = 0.5,
) -> MetaLearner:
    """Generate weights of a scale that no input changes (MIP; Ortiz et al. 2023, arXiv 2304.07645).

    Args:
      encoding: Encode the condition as points on the unit circle.
      residual: Add learned weights to what is generated.
      base_share: Part of the variance that these start with.
    """
    hypernet = magnitude_invariant(
        problem.start,
        hidden=layers.hidden,
        encoding=encoding,
        base=base_share if residual else None,
        norm=layers.rms_norm,
    )
    return learners.generated_network(hypernet, problem.network)


def raw(problem: Problem, training: Training, *, layers: Layers = LAYERS) -> MetaLearner:
    """Generate weights from the condition as it is: the baseline for MIP (arXiv 2304.07645)."""
    hypernet = magnitude_invariant(
        problem.start, hidden=layers.hidden, encoding=False, base=None, norm=layers.rms_norm
    )
    return learners.generated_network(hypernet, problem.network)


def one_network(problem: Problem, training: Training) -> MetaLearner:
    """Train one network that does not know the condition: a baseline."""
    return learners.one_network(problem.network)


METHODS: dict[str, Entry] = {
    "mip": mip,
    "raw": raw,
    "one_network": one_network,
}
"""The default first."""
