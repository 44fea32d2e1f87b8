"""A generated network for an angle that a person names."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Key

from metajax.nn import mlp
from metajax.systems.weights.condition_use import Made, number_within, use_of


def of_angle(run: Any, condition: Any, features: int, ways: int, key: Key[Array, ""]) -> Made:
    """Give a network for images that are turned by so many degrees; see :func:`use_of`."""
    of = run.settings
    angle = number_within(condition, -of.most_turn, of.most_turn, "an angle in degrees")
    place = jnp.array([(angle / of.most_turn + 1) / 2], jnp.float32)
    return mlp((of.width,) * of.layers, ways), run.learner.adapt(run.params, place, key)


use = use_of(of_angle)
"""How networks for angles are used: an angle is named, in degrees."""
