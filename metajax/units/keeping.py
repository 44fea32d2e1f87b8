"""Masks that keep so many units of a name, where the number may be traced."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp
from jaxtyping import Array, Int

from metajax.core import Params
from metajax.units.axes import Units
from metajax.units.taking import mask_units, unit_norms, unit_sizes

Sizes = Mapping[str, Int[Array, ""] | int]


def keep_first(params: Params, units: Units, sizes: Sizes) -> Params:
    """Return parameters in which all but the first units of a name are zeros.

    The function is that of :func:`slice_units`, whose numbers of units must be known: here they may
    be traced, so one compiled program serves all widths. Trained at several widths, the shared
    weights are a slimmable network (Yu et al. 2019, arXiv 1812.08928).

    Args:
      params: of the network.
      units: the names of its units.
      sizes: for each name how many units to keep; a number above all keeps all.

    Raises:
      ConfigError: as by :func:`mask_units`.
    """
    present = unit_sizes(params, units)
    masks = {name: jnp.arange(present[name]) < size for name, size in sizes.items()}
    return mask_units(params, units, masks)


def keep_largest(params: Params, units: Units, sizes: Sizes) -> Params:
    """Return parameters in which all but the units with the largest norms are zeros.

    The baseline of pruning by the norm of all weights that belong to a unit (Li et al. 2017, arXiv
    1608.08710, with both sides of a unit in place of its filter alone).

    Args:
      params: of the network.
      units: the names of its units.
      sizes: for each name how many units to keep; a number above all keeps all.

    Raises:
      ConfigError: as by :func:`mask_units`.
    """
    norms = unit_norms(params, units)
    masks = {}
    for name, size in sizes.items():
        rank = jnp.argsort(jnp.argsort(-norms[name]))
        masks[name] = rank < size
    return mask_units(params, units, masks)
