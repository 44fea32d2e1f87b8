"""Routes that are known from a network's inputs, before any of its layers runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from metajax.core import ConfigError, Params
from metajax.units.axes import Units, check_names
from metajax.units.taking import take_units


class DomainMasks(NamedTuple):
    """Units that each domain uses, in two parts: those of all domains and those of each alone.

    Attributes:
      shared: units that every domain uses.
      own: for each domain its other units.
    """

    shared: Bool[Array, " n"]
    own: Bool[Array, "domains n"]

    @property
    def masks(self) -> Bool[Array, "domains n"]:
        """All units of each domain."""
        return self.shared[None] | self.own


def domain_masks(activity: Float[Array, "domains n"], size: int) -> DomainMasks:
    """Choose for each domain the ``size`` units that are most active on its examples.

    The units of Read-ME's experts (Cai et al. 2024, arXiv 2410.19123, section 3), whose activity is
    the mean absolute value of a unit.

    Args:
      activity: of each unit on the examples of each domain; equal ones are taken in their order.
      size: units of a domain.

    Returns:
      The masks. Each domain has exactly ``size`` units.

    Raises:
      ConfigError: there are not so many units.
    """
    num = activity.shape[-1]
    if not 1 <= size <= num:
        raise ConfigError("size", size, f"1 to {num}, the units")
    _, chosen = jax.lax.top_k(activity, size)
    masks = jnp.any(jax.nn.one_hot(chosen, num, dtype=bool), axis=1)
    shared = jnp.all(masks, axis=0)
    return DomainMasks(shared, masks & ~shared[None])


def compact_experts(
    params: Params,
    units: Units,
    masks: Mapping[str, Bool[Array, "experts n"]],
    sizes: Mapping[str, int],
) -> Params:
    """Return one small network for each row of the masks, stacked on a first axis.

    Each computes what the whole network does under :func:`mask_units` with this row.

    Args:
      params: of the whole network.
      units: the names of its units.
      masks: for each name the units of each expert.
      sizes: for each of these names how many units an expert has. Where a mask has fewer, the rest
        are NaN; where it has more, the last ones are dropped.

    Raises:
      ConfigError: the names do not fit the parameters, or one of them has no size.
    """
    check_names("sizes", masks, sizes)

    def one(masks: Mapping[str, Bool[Array, " n"]]) -> Params:
        return take_units(
            params,
            units,
            {
                name: jnp.nonzero(mask, size=sizes[name], fill_value=mask.size)[0]
                for name, mask in masks.items()
            },
        )

    return jax.vmap(one)(dict(masks))


def mix_experts(
    apply: Callable[[Params, Any], Float[Array, "n outputs"]],
    params: Params,
    inputs: Float[Array, "n *features"],
    weights: Float[Array, "n experts"],
) -> Float[Array, "n outputs"]:
    """Return the weighted sum of the outputs of whole networks.

    The weights come from the inputs alone, e.g. ``top_k_gates(router.apply(r, inputs), 1)``: one
    decision for all layers, made before any of them runs (pre-gating, Read-ME: arXiv 2410.19123).
    So a batch can be sorted by expert ahead of time.

    Args:
      apply: of a network.
      params: of all experts, stacked on a first axis, which may be sharded over a mesh.
      inputs: of the networks.
      weights: of each expert for each example.
    """
    outputs = jax.vmap(apply, (0, None))(params, inputs)
    return jnp.einsum("eno,ne->no", outputs, weights)
