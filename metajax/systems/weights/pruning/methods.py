"""Methods that prepare networks for pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import (
    Algorithm,
    Count,
    GradientState,
    MetaLearner,
    Network,
    NonNegative,
    Params,
    Positive,
    ProperFraction,
    Range,
)
from metajax.hypernet import graph_metanetwork
from metajax.learners import GrowthParams, GrowthStage, in_growing_stages, moving_only
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training


class PruningParts(NamedTuple):
    """What the evaluation reads of a method.

    Attributes:
      network: that is pruned.
      narrow: ``narrow(units of each hidden layer) -> Network``.
      prepared: ``prepared(params) -> networks``, those that are measured, on a leading axis.
      optimizer: ``optimizer(steps)`` of all training of the evaluation.
      before: steps that trained the zoo.
      plain_steps: steps that networks without preparation are trained in its place.
      settle_steps: of plain training of prepared networks, before they are pruned.
      change: ``change(params, network) -> network`` prepares any network of these shapes; None: the
        method prepares its own alone.
    """

    network: Network
    narrow: Callable[[int], Network]
    prepared: Callable[[GrowthParams], Params]
    optimizer: Callable[[int], optax.GradientTransformation]
    before: int
    plain_steps: int
    settle_steps: int
    change: Callable[[GrowthParams, Params], Params] | None = None


@dataclass(frozen=True)
class Sparsity:
    """How hard units are pulled to zero."""

    shrink_ratio: Annotated[float, Range(1)] = 16.0
    """How many times harder the weakest unit of a layer is pulled than the strongest one."""
    squared: bool = False
    """Pull each weight in proportion to itself, as the paper does, not all units alike."""


SPARSITY = Sparsity()
PAPER = Sparsity(squared=True)


def _two_stages(
    problem: Problem,
    training: Training,
    then: Callable[[Array], MetaLearner],
    rule: optax.GradientTransformation,
    begin: Callable[[Params, Params], Params],
) -> Algorithm:
    """A zoo of networks from separate starts, and what its networks are prepared by."""
    of = problem.settings
    zoo = learners.sparse_networks(problem.network, problem.units, of.networks + of.unseen_networks)

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params=begin(before.params["networks"], own.params))

    def first(done: Array) -> MetaLearner:
        return zoo

    stages = [
        GrowthStage(first, training.make_optimizer(of.zoo_steps), of.zoo_steps),
        GrowthStage(then, rule, 1, change=change),
    ]
    return in_growing_stages(stages)


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
    of = problem.settings
    num = of.unseen_networks
    learner = learners.sparse_networks(
        problem.network,
        problem.units,
        num,
        strength=strength,
        ratio=sparsity.shrink_ratio,
        squared=sparsity.squared,
    )

    def then(done: Array) -> MetaLearner:
        return learner

    def begin(zoo: Params, own: Params) -> Params:
        return {"networks": jax.tree.map(lambda leaf: leaf[:num], zoo)}

    def prepared(params: GrowthParams) -> Params:
        return params.networks[1]["networks"]

    taken = training.steps - of.zoo_steps
    rule = training.make_optimizer(taken)
    parts = PruningParts(
        problem.network, problem.narrow, prepared, training.make_optimizer, of.zoo_steps, taken, 0
    )
    return Method(_two_stages(problem, training, then, rule, begin), parts=parts)


@dataclass(frozen=True)
class Metanetwork:
    """The network that changes others."""

    channels: Annotated[int, Range(2)] = 12
    """Channels of the states of nodes and edges, an even number."""
    rounds: Count = 2
    """Rounds of messages."""
    change: Positive = 0.1
    """How much of the change is added to a network, in units of its root mean square weight."""
    at_once: Count = 2
    """Networks of a step, drawn at random."""


METANETWORK = Metanetwork()


def metanetwork(
    problem: Problem,
    training: Training,
    *,
    metanet: Metanetwork = METANETWORK,
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
    of = problem.settings
    num = of.unseen_networks
    net = graph_metanetwork(
        problem.units, width=metanet.channels, rounds=metanet.rounds, ratio=metanet.change
    )
    taken = training.steps - of.zoo_steps

    def then(done: Array) -> MetaLearner:
        risen = jnp.minimum(done.astype(jnp.float32) / (rise * taken), 1.0)
        return learners.pruning_metanetwork(
            problem.network,
            net,
            problem.units,
            of.networks,
            at_once=metanet.at_once,
            strength=strength * jnp.square(risen),
            ratio=sparsity.shrink_ratio,
            squared=sparsity.squared,
        )

    def begin(zoo: Params, own: Params) -> Params:
        return {**own, "networks": jax.tree.map(lambda leaf: leaf[num:], zoo)}

    def change(params: GrowthParams, network: Params) -> Params:
        return net.apply(params.networks[1]["metanet"], network)

    def prepared(params: GrowthParams) -> Params:
        unseen = jax.tree.map(lambda leaf: leaf[:num], params.networks[0]["networks"])
        return jax.vmap(change, (None, 0))(params, unseen)

    rule = moving_only(training.make_optimizer(taken), ["metanet"])
    parts = PruningParts(
        problem.network,
        problem.narrow,
        prepared,
        training.make_optimizer,
        of.zoo_steps,
        settle_steps,
        settle_steps,
        change,
    )
    return Method(_two_stages(problem, training, then, rule, begin), parts=parts)


METHODS: dict[str, Entry] = {
    "group_sparse": group_sparse,
    "metanetwork": metanetwork,
}
"""The default first."""
