"""Shared weights of all widths, with a function of coordinates added."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from metajax.core import Network, Params, derive
from metajax.hypernet.coordinates import implicit
from metajax.units import Units, keep_first
from metajax.units.axes import leaves_of

Sizes = Mapping[str, Int[Array, ""] | int]


def shared_implicit(
    target: Callable[[Key[Array, ""]], Params],
    units: Units,
    names: Sequence[str],
    **options: Any,
) -> Network:
    """Make a network of any width: the first units of shared weights, corrected by a function.

    The weights are those of :func:`metajax.units.keep_first`, plus a learned factor times those of
    :func:`implicit`, a factor for each tensor. Factors start at 0, unless the function itself does,
    as for biases. So the start is that of a slimmable network (Yu et al. 2019, arXiv 1812.08928).
    This is not the published form of Neural Metamorphosis (arXiv 2410.11878), which has no shared
    weights.

    Args:
      target: ``target(key) -> params`` of the largest network; floating-point arrays.
      units: the names of its units.
      names: of those whose number varies.
      options: of :func:`implicit`.

    Returns:
      The hypernetwork, with ``init`` and ``apply`` as those of :func:`implicit`.

    Raises:
      ConfigError: as by :func:`implicit`.
    """
    function = implicit(target, units, names, **options)

    def init(key: Key[Array, ""], sizes: Sizes) -> Params:
        made: Any = function.init(derive(key, "function"), sizes)
        # a function that starts at zero stays there behind a factor of zero
        gains = {
            path: jnp.where(jnp.any(layers["out"]["kernel"] != 0), 0.0, 1.0)
            for path, layers in made["made"].items()
        }
        parts = {"made": made["made"], "scales": made["scales"], "gains": gains}
        return {"shared": target(derive(key, "shared")), **parts}

    def apply(params: Params, sizes: Sizes, key: Key[Array, ""] | None = None) -> Params:
        shared = keep_first(params["shared"], units, {name: sizes[name] for name in names})
        leaves = leaves_of(shared, units)
        kept = {leaf.path: leaf.array for leaf in leaves}
        parts = {"made": params["made"], "scales": params["scales"], "kept": kept}
        added = jax.tree.leaves(function.apply(parts, sizes, key))
        weights = [
            leaf.array + params["gains"][leaf.path] * more
            if leaf.path in params["gains"]
            else leaf.array
            for leaf, more in zip(leaves, added, strict=True)
        ]
        return jax.tree.unflatten(jax.tree.structure(shared), weights)

    return Network(init, apply)
