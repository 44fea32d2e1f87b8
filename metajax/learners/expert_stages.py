"""Trained networks that are made experts, between the stages of their training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from metajax.core import GradientState, Network, Params
from metajax.learners.activated_experts import ActivatedExperts, activity_of_domains
from metajax.learners.distilling import smoothed_labels
from metajax.learners.expert_blocks import apply_experts, tuned_experts, upcycle_blocks
from metajax.learners.growing import GrowthStage, MakeOptimizer, handed_over, with_params
from metajax.learners.stages import check_each, moving_only

UPDATES = 8
"""Updates whose inputs show which units are active, at most: more change the means little."""


def upcycling(
    network: Network,
    copies: int,
    parts: int,
    steps: Sequence[int],
    make_optimizer: MakeOptimizer,
    *,
    balance: float | Float[Array, ""] = 0.01,
    router: Literal["repeated", "random"] = "repeated",
) -> list[GrowthStage]:
    """Train a residual network, then the experts of its blocks (Dynamic-DINO, arXiv 2507.17436).

    Args:
      network: of :func:`feed_forward_blocks`.
      copies: of each block.
      parts: experts that a copy is split into, and experts that each input uses in a block.
      steps: of the two stages.
      make_optimizer: of each stage, by its steps.
      balance: weight of even use, see :func:`tuned_experts`.
      router: see :func:`upcycle_blocks`.

    Returns:
      The stages, for :func:`in_growing_stages`. One copy of one part is the network without
      experts, whose optimizer starts again: the baseline of experts.

    Raises:
      ConfigError: there are steps of other than two stages; and that of :func:`upcycle_blocks`.
    """
    check_each("steps", steps, 2)
    first, second = map(make_optimizer, steps)

    def split(before: Params, own: Params, key: Key[Array, ""]) -> Params:
        return upcycle_blocks(before, copies, parts, key, router)

    tuned = tuned_experts(network, copies, parts, balance, router)
    return [
        GrowthStage(smoothed_labels(network), first, steps[0]),
        GrowthStage(tuned, second, steps[1], change=with_params(split)),
    ]


class Upcycled(NamedTuple):
    """What :func:`upcycling` has made of a network.

    Attributes:
      start: outputs of the experts before they are tuned; their routers are another draw than those
        that were tuned.
      changed: the largest difference of these from the outputs of the network.
      largest: the largest of the outputs of the network.
      used_together: share of the inputs that use two experts of a block, on the diagonal one.
    """

    start: Float[Array, "n outputs"]
    changed: Float[Array, ""]
    largest: Float[Array, ""]
    used_together: Float[Array, "blocks experts experts"]


def compare_upcycled(
    network: Network,
    networks: tuple[Params, ...],
    inputs: Float[Array, "n features"],
    copies: int,
    parts: int,
    router: Literal["repeated", "random"] = "repeated",
) -> Upcycled:
    """Return how a network and its experts differ on some inputs.

    Args:
      network: of :func:`feed_forward_blocks`.
      networks: trained by the stages of :func:`upcycling`.
      inputs: of the network.
      copies: see :func:`upcycling`.
      parts: see :func:`upcycling`.
      router: see :func:`upcycling`.
    """
    dense, tuned = networks
    # the first router is not kept
    made = upcycle_blocks(dense, copies, parts, jax.random.key(0), router)
    usual, (start, _) = network.apply(dense, inputs), apply_experts(made, inputs, parts)
    _, routes = apply_experts(tuned, inputs, parts)
    used = (routes.weights > 0).astype(usual.dtype)
    together = jnp.einsum("bne,bnf->bef", used, used) / len(inputs)
    changed, largest = jnp.max(jnp.abs(start - usual)), jnp.max(jnp.abs(usual))
    return Upcycled(start, changed, largest, together)


def read_me(
    experts: ActivatedExperts,
    steps: Sequence[int],
    make_optimizer: MakeOptimizer,
    units: Literal["domain", "random", "all"] = "domain",
) -> list[GrowthStage]:
    """Train a network, choose experts among its units, and tune them (Read-ME, arXiv 2410.19123).

    First the dense network is trained. The inputs of the next step show which of its units are
    active on each domain, and these become experts. Then the router alone is trained, and last the
    router and the experts.

    Args:
      experts: their sizes. Tasks have inputs of the domains in turn.
      steps: of the three stages.
      make_optimizer: of each stage, by its steps.
      units: see :meth:`ActivatedExperts.choose`.

    Returns:
      The stages, for :func:`in_growing_stages`.

    Raises:
      ConfigError: there are steps of other than three stages.
    """
    check_each("steps", steps, 3)
    first, second, third = map(make_optimizer, steps)

    def choose(
        state: GradientState, tasks: PyTree, key: Key[Array, ""], axis_name: str | None
    ) -> GradientState:
        params: Any = state.params
        inputs = tasks.inputs[:, :UPDATES]
        activity = activity_of_domains(params["dense"], inputs, experts.domains)
        if axis_name is not None:
            activity = jax.lax.pmean(activity, axis_name)
        return state._replace(params=experts.choose(params, activity, key, units))

    learner = experts.learner()
    routed, tuned = moving_only(second, ["router"]), moving_only(third, ["router", "shared", "own"])
    return [
        GrowthStage(smoothed_labels(experts.network), first, steps[0]),
        GrowthStage(learner, routed, steps[1], change=handed_over("dense"), prepare=choose),
        GrowthStage(learner, tuned, steps[2], change=handed_over()),
    ]


class Activated(NamedTuple):
    """What :func:`read_me` has made of a network, by inputs of known domains.

    Attributes:
      own_start: outputs of the experts before they are tuned, where each input has the expert of
        its domain.
      own_domain: the same of the tuned experts.
      routes: share of the inputs of each domain that the router gives to each expert.
    """

    own_start: Float[Array, "n outputs"]
    own_domain: Float[Array, "n outputs"]
    routes: Float[Array, "domains experts"]


def compare_activated(
    experts: ActivatedExperts, networks: tuple[Params, ...], inputs: Float[Array, "n features"]
) -> Activated:
    """Return what experts would predict if the domain of each input was known.

    Args:
      experts: their sizes.
      networks: trained by the stages of :func:`read_me`.
      inputs: of one domain after the other, equally many of each.
    """
    _, routed, tuned = networks
    domains = experts.domains
    own = jax.nn.one_hot(jnp.arange(len(inputs)) // (len(inputs) // domains), domains)
    return Activated(
        experts.apply(routed, inputs, own),
        experts.apply(tuned, inputs, own),
        own.T @ experts.route(tuned, inputs) / jnp.sum(own, axis=0)[:, None],
    )
