"""Methods for the condition ``architectures``: a graph hypernetwork and its baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax import hypernet, learners
from metajax.core import Count, MetaLearner, Network, Params
from metajax.hypernet import MLPArchitecture
from metajax.systems.base import Entry
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


def graph_hypernetwork(
    problem: Problem,
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
    target = problem.padded
    made = hypernet.graph_hypernetwork(
        max(problem.test.num_features, problem.settings.widest),
        decoder=decoder,
        rank=rank,
        rectify=rectify,
        width=state,
        rounds=rounds,
    )

    def start(params: Params, of: MLPArchitecture) -> Params:
        return made.start(params, of.graph, of.nodes, target.like, target.masks(of))

    return _starting(problem, lambda key, of: made.init(key, of.graph), start)


def shared_table(problem: Problem, training: Training) -> MetaLearner:
    """Train one network, of which every architecture takes the first layers and units: a baseline.

    This is a supernet, the trivial graph hypernetwork.
    """
    target = problem.padded

    def init(key: Key[Array, ""], of: MLPArchitecture) -> Params:
        everything = of._replace(widths=jnp.full_like(of.widths, problem.settings.widest))
        return target.random(key, everything)

    def start(params: Params, of: MLPArchitecture) -> Params:
        return jax.tree.map(jnp.multiply, params, target.masks(of))

    return _starting(problem, init, start)


def _starting(
    problem: Problem,
    init: Callable[[Key[Array, ""], MLPArchitecture], Params],
    start: Callable[[Params, MLPArchitecture], Params],
) -> MetaLearner:
    """The learner that makes starts of architectures, and is trained by their loss."""
    target = problem.padded
    made = Network(init, lambda params, of: (start(params, of), of))

    def apply(adapted: tuple[Params, MLPArchitecture], inputs: Array) -> Array:
        weights, architecture = adapted
        return target.apply(weights, architecture, inputs)

    return learners.generated_network(made, Network(init, apply))


METHODS: dict[str, Entry] = {
    "graph_hypernetwork": graph_hypernetwork,
    "shared_table": shared_table,
}
"""The default first."""
