"""Which units to keep: masks, where the number may be traced, and the small networks of them."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from metajax.core import ConfigError, Params
from metajax.units.axes import Units, check_names
from metajax.units.taking import mask_units, take_units, unit_norms, unit_sizes

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


def largest_masks(params: Params, units: Units, sizes: Sizes) -> dict[str, Bool[Array, " n"]]:
    """Return masks of the units with the largest norms, so many of each name.

    Args:
      params: of the network.
      units: the names of its units.
      sizes: for each name how many units to keep, which may be traced; a number above all keeps
        all.

    Returns:
      For each of these names a Boolean a unit.

    Raises:
      ConfigError: the names do not fit the parameters.
    """
    check_names("sizes", sizes, unit_sizes(params, units))
    norms = unit_norms(params, units)
    return {name: _ranks(norms[name]) < size for name, size in sizes.items()}


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
    return mask_units(params, units, largest_masks(params, units, sizes))


def relative_norms(params: Params, units: Units) -> dict[str, Float[Array, " n"]]:
    """Return the norms of units over the largest of their name, which makes names comparable.

    The order in which units are left out by Fang et al. (2023, arXiv 2301.12900) and Yu et al.
    (2025, arXiv 2506.12041).

    Args:
      params: of the network.
      units: the names of its units.

    Returns:
      For each name a number a unit, at most 1; zeros where all units of a name are zero.

    Raises:
      ConfigError: the names do not fit the parameters.
    """
    found = {}
    for name, norms in unit_norms(params, units).items():
        most = jnp.max(norms)
        found[name] = norms / jnp.where(most > 0, most, 1)
    return found


def share_masks(
    params: Params, units: Units, share: Float[Array, ""] | float
) -> dict[str, Bool[Array, " n"]]:
    """Return masks of a share of all units, by their :func:`relative_norms`.

    How many units of each name are kept follows from the norms. The largest of each name is kept
    whatever the share, since without it the network would be cut in two.

    Args:
      params: of the network.
      units: the names of its units.
      share: of the units of all names together, 0 to 1, rounded to a number; it may be traced.

    Returns:
      For each name a Boolean a unit.

    Raises:
      ConfigError: the names do not fit the parameters, or the share is not in its range.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.units import reads, share_masks
      >>> params = {"in": jnp.array([[3.0, 1.0, 2.0]]), "out": jnp.array([[4.0], [0.0], [0.0]])}
      >>> units = {"in": (None, "h"), "out": (reads("h"), None)}
      >>> share_masks(params, units, 0.7)["h"].tolist()
      [True, False, True]
    """
    if not isinstance(share, jax.core.Tracer) and not 0 <= share <= 1:
        raise ConfigError("share", share, "0 to 1")
    relative = relative_norms(params, units)
    # the first of the largest stands above all others, so that as many as names are kept
    firsts = {name: jnp.arange(one.size) == jnp.argmax(one) for name, one in relative.items()}
    each = [jnp.where(firsts[name], 2, one) for name, one in relative.items()]
    number = jnp.round(share * sum(one.size for one in each)).astype(jnp.int32)
    kept = _ranks(jnp.concatenate(each)) < jnp.maximum(number, len(each))
    ends = np.cumsum([one.size for one in each])[:-1]
    return dict(zip(relative, jnp.split(kept, ends), strict=True))


def prune_units(
    params: Params, units: Units, masks: Mapping[str, Bool[Array | np.ndarray, " n"]]
) -> Params:
    """Return the small network of the units that masks keep, in the order that they have.

    It computes what :func:`mask_units` does with the same masks.

    Args:
      params: of the network.
      units: the names of its units.
      masks: for some names a Boolean a unit, which must be known: shapes follow from them.

    Raises:
      ConfigError: the names do not fit the parameters, a mask has another size, is traced or keeps
        no unit.
    """
    present = unit_sizes(params, units)
    check_names("masks", masks, present)
    kept = {}
    for name, mask in masks.items():
        if isinstance(mask, jax.core.Tracer):
            raise ConfigError(f"mask of {name}", mask, "known values, outside of jax.jit")
        if mask.shape != (present[name],) or not np.any(mask):
            expected = f"{present[name]} Booleans, at least one of them true"
            raise ConfigError(f"mask of {name}", mask, expected)
        kept[name] = np.flatnonzero(np.asarray(mask))
    return take_units(params, units, kept)


def _ranks(scores: Float[Array, " n"]) -> Int[Array, " n"]:
    """Places from the largest on; equal ones keep their order."""
    return jnp.argsort(jnp.argsort(-scores))
