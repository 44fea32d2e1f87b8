"""Methods that prepare networks for pruning."""

from __future__ import annotations

from metajax import learners
from metajax.core import Count, NonNegative, ProperFraction
from metajax.learners import MetanetworkSettings, PruningZoo, Sparsity
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training

SPARSITY = Sparsity()
PAPER = Sparsity(squared=True)
METANETWORK = MetanetworkSettings()


def _zoo(problem: Problem, training: Training) -> PruningZoo:
    """The networks, before any is prepared."""
    of = problem.settings
    return PruningZoo(
        problem.network,
        problem.units,
        measured=of.unseen_networks,
        others=of.networks,
        steps=of.zoo_steps,
        make_optimizer=training.make_optimizer,
    )


def group_sparse(
    problem: Problem,
    training: Training,
    *,
    strength: NonNegative = 0.004,
    sparsity: Sparsity = SPARSITY,
) -> Method:
    """Empty units by a penalty before they are left out (Fang et al. 2023, arXiv 2301.12900).

    Args:
      strength: Factor of the penalty; 0 is plain training.
    """
    zoo = _zoo(problem, training)
    parts = learners.sparse_preparation(
        zoo, training.steps - zoo.steps, strength=strength, sparsity=sparsity
    )
    return Method(parts.algorithm, parts=parts)


def metanetwork(
    problem: Problem,
    training: Training,
    *,
    metanet: MetanetworkSettings = METANETWORK,
    strength: NonNegative = 0.01,
    sparsity: Sparsity = PAPER,
    rise: ProperFraction = 0.7,
    settle_steps: Count = 200,
) -> Method:
    """Change networks by a network that reads their graph (MetaPruning, arXiv 2506.12041).

    Args:
      strength: Factor of the sparsity at the end of meta-training.
      rise: Part of meta-training in which this factor rises from 0, as the square of the steps.
      settle_steps: Steps of plain training between the change and pruning.
    """
    zoo = _zoo(problem, training)
    parts = learners.metanetwork_preparation(
        zoo,
        training.steps - zoo.steps,
        metanet,
        strength=strength,
        sparsity=sparsity,
        rise=rise,
        settle_steps=settle_steps,
    )
    return Method(parts.algorithm, parts=parts)


METHODS: dict[str, Entry] = {
    "group_sparse": group_sparse,
    "metanetwork": metanetwork,
}
"""The default first."""
