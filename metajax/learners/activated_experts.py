"""Small experts made of one trained network, by the units that are active on each domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Network,
    Params,
    accuracy,
    check_sizes,
    cross_entropy,
    derive,
)
from metajax.learners.distilling import smoothed_cross_entropy, soft_cross_entropy
from metajax.learners.idle import not_adapted
from metajax.nn import mlp
from metajax.units import (
    compact_experts,
    domain_masks,
    mask_units,
    mix_experts,
    mlp_units,
    top_k_gates,
)

LEVELS = 5
"""Thresholds that a unit's activity is compared with, for the votes of a layer."""
SHARPNESS = 10.0
"""What centered votes are multiplied by, to be the logits that the router learns."""
SMOOTHING = 0.5
"""Part of the router's hard labels that is spread over all experts."""
HARD = 0.75
"""Weight of the router's hard labels; its soft ones have the rest."""

Activity = dict[str, Float[Array, "n size"]]


def hidden_activity(params: Params, inputs: Float[Array, "n features"]) -> Activity:
    """Return the values of the hidden units of :func:`metajax.nn.mlp` with ReLU.

    Args:
      params: of the network.
      inputs: of the network.

    Returns:
      Of each layer, by the names of :func:`metajax.units.mlp_units`.
    """
    found, x = {}, inputs
    for number in range(len(params) - 1):
        layer = params[f"Dense_{number}"]
        one = mlp([], layer["kernel"].shape[1])
        x = found[f"h{number}"] = jax.nn.relu(one.apply({"Dense_0": layer}, x))
    return found


def domain_votes(
    activity: Float[Array, "n size"], masks: Float[Array, "domains size"]
) -> Float[Array, "n domains"]:
    """Return which share of the most active units of each input belongs to each domain.

    A unit has a vote for each of five levels that its activity exceeds: the second largest activity
    of the layer, and those that 1/5, 2/5, 3/5 and 4/5 of its units exceed. So a unit that is not
    active has none (Read-ME: Cai et al. 2024, arXiv 2410.19123).

    Args:
      activity: of the units of a layer.
      masks: units of each domain, 1 or 0.
    """
    size = activity.shape[1]
    ranks = [size - 1, *(size * part // LEVELS for part in range(1, LEVELS))]
    rising = jnp.sort(activity, axis=1)
    levels = jnp.stack([rising[:, max(rank, 1) - 1] for rank in ranks], axis=1)
    votes = jnp.sum(activity[:, None] > levels[:, :, None], axis=1).astype(activity.dtype)
    return votes @ masks.T / jnp.maximum(jnp.sum(votes, axis=1, keepdims=True), 1)


def router_loss(
    logits: Float[Array, "n domains"], activity: Activity, masks: Mapping[str, Array]
) -> Float[Array, ""]:
    """Return how far a router is from the votes of a network's units, summed over its layers.

    The votes of a layer, centered and multiplied by 10, are logits. The loss is .75 times the
    cross-entropy with their largest one, smoothed by .5, and .25 times the divergence from their
    softmax (Read-ME's code).

    Args:
      logits: of the router.
      activity: of the units of each layer; no gradient reaches it.
      masks: units of each domain, 1 or 0, by the names of ``activity``.
    """
    total = jnp.zeros((), logits.dtype)
    for name, values in activity.items():
        # stopped here, or the derivative of sorting would be computed too
        votes = domain_votes(*jax.lax.stop_gradient((values, masks[name])))
        goal = SHARPNESS * (votes - jnp.mean(votes, axis=1, keepdims=True))
        hard = smoothed_cross_entropy(logits, jnp.argmax(goal, axis=1), SMOOTHING)
        total += HARD * hard + (1 - HARD) * soft_cross_entropy(logits, goal)
    return total


class ActivatedExperts(NamedTuple):
    """Small experts of one trained network, of which each input uses one (Read-ME).

    An expert has the units that are most active on its domain. Weights between units that all
    experts have are one array, which all of them train; each expert has its own copy of its other
    weights. One router, which sees the inputs alone, chooses the expert for all layers (Cai et al.
    2024, arXiv 2410.19123).

    Parameters are a dictionary: ``dense``, the trained network, which votes; ``shared``, its copy
    whose common weights are trained; ``own``, the experts; ``router``; and as numbers 1 or 0
    ``masks``, the units of each expert, and ``domains``, those that votes count. An optimizer must
    leave ``dense``, ``masks`` and ``domains`` as they are.

    Attributes:
      widths: of the trained network's layers.
      sizes: units of an expert in each layer.
      num_outputs: e.g. classes.
      domains: as many as experts.
      router_width: hidden units of the router.
    """

    widths: tuple[int, ...]
    sizes: tuple[int, ...]
    num_outputs: int
    domains: int
    router_width: int

    @property
    def network(self) -> Network:
        """The network that experts are made of."""
        return mlp(self.widths, self.num_outputs)

    @property
    def router(self) -> Network:
        """The router, of inputs to logits of experts."""
        return mlp([self.router_width], self.domains)

    def init(self, key: Key[Array, ""], inputs: Float[Array, "n features"]) -> Params:
        """Draw first parameters; the experts have the first units until :meth:`choose`.

        Args:
          key: of the draw.
          inputs: any, for their shape.

        Raises:
          ConfigError: a size is below 1, or an expert has more units than the network.
        """
        check_sizes(domains=self.domains, router_width=self.router_width)
        for size, width in zip(self.sizes, self.widths, strict=True):
            if not 1 <= size <= width:
                raise ConfigError("sizes", size, f"1 to {width}, the units of the layer")
        dense = self.network.init(derive(key, "dense"), inputs)
        masks = {
            f"h{number}": jnp.tile(jnp.arange(width)[None] < size, (self.domains, 1))
            for number, (width, size) in enumerate(zip(self.widths, self.sizes, strict=True))
        }
        router = self.router.init(derive(key, "router"), inputs)
        return self._made(dense, masks, masks, router)

    def choose(
        self,
        params: Params,
        activity: Mapping[str, Float[Array, "domains size"]],
        key: Key[Array, ""],
        units: Literal["domain", "random", "all"] = "domain",
    ) -> Params:
        """Return parameters with experts made of the units of ``params["dense"]``.

        Args:
          params: of which ``dense`` and ``router`` are kept.
          activity: mean activity of the units on each domain.
          key: of random units.
          units: "domain": the most active ones of each domain; "random": for each expert and layer
            others; "all": the most active ones of all domains together, the same for all experts.

        Raises:
          ConfigError: there is no such choice of ``units``.
        """
        if units not in ("domain", "random", "all"):
            raise ConfigError("units", units, "'domain', 'random' or 'all'")
        masks, domains = {}, {}
        for number, size in enumerate(self.sizes):
            name = f"h{number}"
            values = activity[name]
            domains[name] = domain_masks(values, size).masks
            if units == "random":
                values = jax.random.uniform(derive(key, name), values.shape, values.dtype)
            elif units == "all":
                values = jnp.broadcast_to(jnp.mean(values, axis=0)[None], values.shape)
            masks[name] = domain_masks(values, size).masks
        return self._made(params["dense"], masks, domains, params["router"])

    def experts(self, params: Params) -> Params:
        """Return the experts as small networks, stacked on a first axis.

        Args:
          params: of all.
        """
        common = self._compact(params["shared"], params["masks"])
        masks = {name: jnp.all(mask > 0, axis=0) for name, mask in params["masks"].items()}
        ones = jax.tree.map(jnp.ones_like, params["shared"])
        shared = mask_units(ones, mlp_units(ones), masks)
        where = self._compact(shared, params["masks"])
        return jax.tree.map(
            lambda here, one, own: jnp.where(here > 0, one, own), where, common, params["own"]
        )

    def route(
        self, params: Params, inputs: Float[Array, "n features"]
    ) -> Float[Array, "n domains"]:
        """Return the weight of each expert, 1 for one of them; no other network is evaluated.

        Args:
          params: of all; the router's are read.
          inputs: of the network.
        """
        return top_k_gates(self.router.apply(params["router"], inputs), 1)

    def apply(
        self,
        params: Params,
        inputs: Float[Array, "n features"],
        weights: Float[Array, "n domains"] | None = None,
    ) -> Float[Array, "n outputs"]:
        """Return the outputs of the experts that the router chooses.

        Args:
          params: of all.
          inputs: of the network.
          weights: of the experts, in place of the router's.
        """
        weights = self.route(params, inputs) if weights is None else weights
        apply = mlp(self.sizes, self.num_outputs).apply
        return mix_experts(apply, self.experts(params), inputs, weights)

    def learner(self) -> MetaLearner:
        """Train experts and router: the cross-entropy of the outputs, and :func:`router_loss`.

        No gradient of the cross-entropy reaches the router, and none of the votes the experts.

        Returns:
          The learner, whose tasks are :class:`~metajax.core.Examples`; it does not adapt.
        """

        def init(key: Key[Array, ""], task: Examples) -> Params:
            return self.init(key, task.inputs)

        def predict(params: Params, adapted: Any, inputs: Array) -> Array:
            return self.apply(params, inputs)

        def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
            logits = self.apply(params, task.inputs)
            activity = hidden_activity(params["dense"], task.inputs)
            routed = self.router.apply(params["router"], task.inputs)
            value = cross_entropy(logits, task.targets)
            value += router_loss(routed, activity, params["domains"])
            return value, {"accuracy": accuracy(logits, task.targets)}

        return MetaLearner(init, not_adapted, predict, loss)

    def _made(
        self, dense: Params, masks: dict[str, Array], domains: dict[str, Array], router: Params
    ) -> Params:
        dtype = jax.tree.leaves(dense)[0].dtype
        numbers = {name: mask.astype(dtype) for name, mask in masks.items()}
        return {
            "dense": dense,
            "shared": dense,
            "own": self._compact(dense, numbers),
            "router": router,
            "masks": numbers,
            "domains": {name: mask.astype(dtype) for name, mask in domains.items()},
        }

    def _compact(self, params: Params, masks: Mapping[str, Array]) -> Params:
        units = mlp_units(params)
        sizes = {f"h{number}": size for number, size in enumerate(self.sizes)}
        chosen = {name: mask > 0 for name, mask in masks.items()}
        return compact_experts(params, units, chosen, sizes)


def activity_of_domains(
    params: Params, inputs: Float[Array, "*batch num features"], domains: int
) -> dict[str, Float[Array, "domains size"]]:
    """Return the mean activity of each hidden unit on each domain.

    Args:
      params: of :func:`metajax.nn.mlp` with ReLU.
      inputs: of the domains in turn, along their last axis but one.
      domains: how many.

    Raises:
      ConfigError: ``domains`` does not divide the inputs.
    """
    num, features = inputs.shape[-2:]
    if domains < 1 or num % domains:
        raise ConfigError("domains", domains, f"a number that divides the {num} inputs")
    found = hidden_activity(params, inputs.reshape(-1, features))
    return {
        name: jnp.mean(jnp.abs(values).reshape(-1, domains, values.shape[1]), axis=0)
        for name, values in found.items()
    }
