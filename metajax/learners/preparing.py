"""Zoos of networks that are trained, and then prepared for pruning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key

from metajax.core import (
    Algorithm,
    Count,
    MetaLearner,
    Network,
    Params,
    Positive,
    Range,
)
from metajax.hypernet import graph_metanetwork
from metajax.learners.growing import (
    GrowthParams,
    GrowthStage,
    MakeOptimizer,
    in_growing_stages,
    with_params,
)
from metajax.learners.pruning_stages import (
    ALIKE,
    PROPORTIONAL,
    Sparsity,
    Strength,
    pruning_metanetwork,
    sparse_networks,
)
from metajax.learners.stages import moving_only
from metajax.units import Units


class PruningZoo(NamedTuple):
    """Networks that are trained from separate starts, before any is prepared.

    Attributes:
      network: inputs to logits.
      units: the names of its units.
      measured: networks that are prepared and pruned, the first of the zoo.
      others: all further networks, which a metanetwork learns from.
      steps: that train the zoo.
      make_optimizer: of a training, by its steps.
    """

    network: Network
    units: Units
    measured: int
    others: int
    steps: int
    make_optimizer: MakeOptimizer


@dataclass(frozen=True, eq=False)
class Preparation:
    """How networks of a zoo are prepared for pruning.

    It is equal to itself alone, so that it can be a static argument of compiled functions.

    Attributes:
      zoo: of the networks.
      algorithm: which trains the zoo, and then what prepares its networks. Its parameters are
        :class:`GrowthParams`, ``networks[0]`` the zoo.
      prepared: ``prepared(params) -> networks``, those that are measured, on a leading axis.
      plain_steps: steps that networks without preparation are trained in its place.
      settle_steps: of plain training of prepared networks, before they are pruned.
      change: ``change(params, network) -> network`` prepares any network of these shapes; None: the
        preparation is that of the zoo's own networks alone.
    """

    zoo: PruningZoo
    algorithm: Algorithm
    prepared: Callable[[GrowthParams], Params]
    plain_steps: int
    settle_steps: int
    change: Callable[[GrowthParams, Params], Params] | None = None

    def unprepared(self, params: GrowthParams) -> Params:
        """Return the networks that are measured as the zoo has them, on a leading axis.

        Args:
          params: trained by the algorithm.
        """
        return _measured(self.zoo, params.networks[0]["networks"])

    def ready(self, params: GrowthParams) -> Params:
        """Return the prepared networks; while the zoo is trained, those of the zoo as they are.

        Args:
          params: trained by the algorithm.
        """
        both = self.prepared(params), self.unprepared(params)
        return jax.tree.map(lambda one, first: jnp.where(params.stage > 0, one, first), *both)


def sparse_preparation(
    zoo: PruningZoo, steps: int, *, strength: Strength = 0.004, sparsity: Sparsity = ALIKE
) -> Preparation:
    """Train a zoo, and empty units of its networks by a penalty (Fang et al. 2023, 2301.12900).

    Args:
      zoo: of the networks.
      steps: with the penalty.
      strength: factor of the penalty, which may be traced; 0 is plain training.
      sparsity: how hard the penalty pulls each unit.

    Returns:
      The preparation, which takes as many plain steps otherwise. Tasks are those of
      :func:`sparse_networks`, with a set of images for each network of the zoo, and a further axis
      of size 1 in front.

    Raises:
      ConfigError: the zoo has no network or no step.
    """
    sparse = sparse_networks(
        zoo.network, zoo.units, zoo.measured, strength=strength, sparsity=sparsity
    )

    def begin(before: Params, own: Params, key: Key[Array, ""]) -> Params:
        return {"networks": _measured(zoo, before["networks"])}

    def prepared(params: GrowthParams) -> Params:
        return params.networks[1]["networks"]

    algorithm = _after_zoo(zoo, sparse, zoo.make_optimizer(steps), begin)
    return Preparation(zoo, algorithm, prepared, plain_steps=steps, settle_steps=0)


@dataclass(frozen=True)
class MetanetworkSettings:
    """The network that changes others, and how many of them at once."""

    channels: Annotated[int, Range(2)] = 12
    """Channels of the states of nodes and edges, an even number."""
    rounds: Count = 2
    """Rounds of messages."""
    change: Positive = 0.1
    """How much of the change is added to a network, in units of its root mean square weight."""
    at_once: Count = 2
    """Networks of a step, drawn at random."""


METANETWORK = MetanetworkSettings()
"""A small metanetwork."""


def metanetwork_preparation(
    zoo: PruningZoo,
    steps: int,
    metanet: MetanetworkSettings = METANETWORK,
    *,
    strength: Strength = 0.01,
    sparsity: Sparsity = PROPORTIONAL,
    rise: float = 0.7,
    settle_steps: int = 200,
) -> Preparation:
    """Train a zoo, and a metanetwork that changes networks to be pruned (MetaPruning, 2506.12041).

    Args:
      zoo: of the networks. The metanetwork learns from those that are not measured.
      steps: of meta-training.
      metanet: the metanetwork, :func:`metajax.hypernet.graph_metanetwork`.
      strength: factor of the sparsity at the end of meta-training, which may be traced.
      sparsity: how hard each unit is pulled.
      rise: part of meta-training in which this factor rises from 0, as the square of the steps.
      settle_steps: of plain training between the change and pruning.

    Returns:
      The preparation, with tasks as those of :func:`sparse_preparation`.

    Raises:
      ConfigError: the zoo has no network or no step, or a size of the metanetwork is rejected.
    """
    net = graph_metanetwork(
        zoo.units, width=metanet.channels, rounds=metanet.rounds, ratio=metanet.change
    )

    def learner(done: Array) -> MetaLearner:
        risen = jnp.minimum(done.astype(jnp.float32) / (rise * steps), 1.0)
        return pruning_metanetwork(
            zoo.network,
            net,
            zoo.units,
            zoo.others,
            at_once=metanet.at_once,
            strength=strength * jnp.square(risen),
            sparsity=sparsity,
        )

    def begin(before: Params, own: Params, key: Key[Array, ""]) -> Params:
        others = jax.tree.map(lambda leaf: leaf[zoo.measured :], before["networks"])
        return {**own, "networks": others}

    def change(params: GrowthParams, network: Params) -> Params:
        return net.apply(params.networks[1]["metanet"], network)

    def prepared(params: GrowthParams) -> Params:
        unseen = _measured(zoo, params.networks[0]["networks"])
        return jax.vmap(change, (None, 0))(params, unseen)

    rule = moving_only(zoo.make_optimizer(steps), ["metanet"])
    algorithm = _after_zoo(zoo, learner, rule, begin)
    return Preparation(
        zoo, algorithm, prepared, plain_steps=settle_steps, settle_steps=settle_steps, change=change
    )


def _measured(zoo: PruningZoo, networks: Params) -> Params:
    return jax.tree.map(lambda leaf: leaf[: zoo.measured], networks)


def _after_zoo(
    zoo: PruningZoo,
    learner: MetaLearner | Callable[[Array], MetaLearner],
    rule: optax.GradientTransformation,
    begin: Callable[[Params, Params, Key[Array, ""]], Params],
) -> Algorithm:
    """The zoo, and what its networks are prepared by; ``begin`` is as for ``with_params``."""
    networks = sparse_networks(zoo.network, zoo.units, zoo.measured + zoo.others)
    return in_growing_stages(
        [
            GrowthStage(networks, zoo.make_optimizer(zoo.steps), zoo.steps),
            GrowthStage(learner, rule, 1, change=with_params(begin)),
        ]
    )
