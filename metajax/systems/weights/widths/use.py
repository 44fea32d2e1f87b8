"""A generated network of a width that a person names."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.nn import mlp
from metajax.systems.weights.condition_use import Made, use_of, whole_number
from metajax.systems.weights.widths.problem import middle_of, sizes_of
from metajax.units import largest_masks, mlp_units, prune_units


def of_width(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """Give a network with so many units in its middle hidden layer; see :func:`use_of`."""
    of = run.settings
    width = whole_number(condition, 1, of.width, "a width in whole units")
    weights = run.learner.adapt(run.params, jnp.int32(width), key)
    # units that are left out are zeros, wherever they stand; a person has no use for them
    units = mlp_units(weights)
    living = largest_masks(weights, units, {middle_of(of): width})
    return mlp(sizes_of(of, width), ways), prune_units(weights, units, living)


use = use_of(of_width)
"""How networks of any width are used: a width is named, in units."""
