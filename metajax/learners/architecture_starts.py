"""Learners whose ``adapted`` is the start of a network of any architecture, trained by its loss."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.core import MetaLearner, Network, Params
from metajax.hypernet import GraphHypernetwork, MLPArchitecture, PaddedMLP
from metajax.learners.conditioned import generated_network


def predicted_starts(target: PaddedMLP, hypernetwork: GraphHypernetwork) -> MetaLearner:
    """Predict the starts of networks from their graphs, by the loss of the starts (GHN-3, LoGAH).

    The sources are Knyazev et al. (2023, arXiv 2303.04143) and Zhou et al. (2024, arXiv
    2405.16287).

    Args:
      target: the network of all architectures.
      hypernetwork: of :func:`metajax.hypernet.graph_hypernetwork`.

    Returns:
      The learner. Tasks have an architecture as their support, and images with their classes as
      their query; ``adapted`` is the start with its architecture.
    """

    def start(params: Params, of: MLPArchitecture) -> Params:
        return hypernetwork.start(params, of.graph, of.nodes, target.like, target.masks(of))

    return _starting(target, lambda key, of: hypernetwork.init(key, of.graph), start)


def shared_starts(target: PaddedMLP) -> MetaLearner:
    """Train one network, of which every architecture takes the first layers and units.

    This is a supernet, the trivial graph hypernetwork and its baseline.

    Args:
      target: the network of all architectures.

    Returns:
      The learner, with tasks as those of :func:`predicted_starts`.
    """
    widest = target.like["head"]["kernel"].shape[0]

    def init(key: Key[Array, ""], of: MLPArchitecture) -> Params:
        return target.random(key, of._replace(widths=jnp.full_like(of.widths, widest)))

    def start(params: Params, of: MLPArchitecture) -> Params:
        return jax.tree.map(jnp.multiply, params, target.masks(of))

    return _starting(target, init, start)


def _starting(
    target: PaddedMLP,
    init: Callable[[Key[Array, ""], MLPArchitecture], Params],
    start: Callable[[Params, MLPArchitecture], Params],
) -> MetaLearner:
    """The learner that makes starts of architectures, and is trained by their loss."""
    made = Network(init, lambda params, of: (start(params, of), of))

    def apply(adapted: tuple[Params, MLPArchitecture], inputs: Array) -> Array:
        weights, architecture = adapted
        return target.apply(weights, architecture, inputs)

    return generated_network(made, Network(init, apply))
