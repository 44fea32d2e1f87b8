"""Methods for the condition ``architectures``: a graph hypernetwork and its baseline."""

from __future__ import annotations

from typing import Literal

from metajax import hypernet, learners
from metajax.core import Count, MetaLearner
from metajax.systems.base import Entry
from metajax.systems.weights.architectures.problem import ArchitectureProblem
from metajax.systems.weights.settings import Training


def graph_hypernetwork(
    problem: ArchitectureProblem,
    training: Training,
    *,
    decoder: Literal["low_rank", "full"] = "low_rank",
    rank: Count = 32,
    rectify: bool = False,
    state: Count = 32,
    rounds: Count = 3,
) -> MetaLearner:
    """Predict weights from a network's graph (LoGAH on GHN-3; Zhou et al. 2024, arXiv 2405.16287).

    Args:
      decoder: Make a tensor as two factors, or each entry by itself.
      rank: Rank of a tensor of factors, at most.
      rectify: ReLU after the last hidden layer of the low-rank decoder too, as published.
      state: Features of a node of the graph.
      rounds: Rounds of messages between nodes.
    """
    made = hypernet.graph_hypernetwork(
        max(problem.test.num_features, problem.settings.widest),
        decoder=decoder,
        rank=rank,
        rectify=rectify,
        width=state,
        rounds=rounds,
    )
    return learners.predicted_starts(problem.padded, made)


def shared_table(problem: ArchitectureProblem, training: Training) -> MetaLearner:
    """Train one network, of which every architecture takes the first layers and units: a baseline.

    This is a supernet, the trivial graph hypernetwork.
    """
    return learners.shared_starts(problem.padded)


METHODS: dict[str, Entry] = {
    "graph_hypernetwork": graph_hypernetwork,
    "shared_table": shared_table,
}
"""The default first."""
