"""Features: functions of one direction, with what any operator of second order makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import jax.numpy as jnp
import numpy as np
from jax.tree_util import register_dataclass
from jaxtyping import Float

from metajax.physics.solver.operators import Array, Operator

Kind = Literal["tanh", "sin"]
"""Shapes of a function of one direction."""


class FeatureSet(Protocol):
    """Functions to combine, as a pytree."""

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        """Return what the operator makes of every function at the points.

        Args:
          points: in units: the domain's box is from -1 to 1.
          operator: at these points, for derivatives in units.
        """


def tanh_shape(xp: Any, inside: Array) -> tuple[Array, Array, Array]:
    """tanh with its first two derivatives."""
    value = xp.tanh(inside)
    slope = 1 - value * value
    return value, slope, -2 * value * slope


def sin_shape(xp: Any, inside: Array) -> tuple[Array, Array, Array]:
    """sin with its first two derivatives."""
    value = xp.sin(inside)
    return value, xp.cos(inside), -value


SHAPES: dict[str, Callable[[Any, Array], tuple[Array, Array, Array]]] = {
    "tanh": tanh_shape,
    "sin": sin_shape,
}


def namespace(points: Array) -> Any:
    """NumPy for NumPy's arrays, which compile nothing, and ``jax.numpy`` for JAX's."""
    return np if isinstance(points, np.ndarray) else jnp


@register_dataclass
@dataclass(frozen=True)
class RidgeFunctions:
    """``shape(directions . x + offsets)``, the shape a function of one variable.

    Attributes:
      directions: ``[d, num]``, in radians a unit.
      offsets: ``[num]``.
      shape: ``tanh`` or ``sin``. Static.
    """

    directions: Float[Array, "d num"]
    offsets: Float[Array, " num"]
    shape: Kind = field(default="tanh", metadata={"static": True})

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        xp = namespace(points)
        inside = points @ self.directions + self.offsets[None]
        value, slope, bend = SHAPES[self.shape](xp, inside)
        found = 0.0
        if operator.value is not None:
            found = found + operator.value[:, None] * value
        if operator.gradient is not None:
            found = found + (operator.gradient @ self.directions) * slope
        if operator.hessian is not None:
            dimensions, num = self.directions.shape
            squares = self.directions[:, None] * self.directions[None]
            flat = operator.hessian.reshape(-1, dimensions**2)
            found = found + (flat @ squares.reshape(dimensions**2, num)) * bend
        return found


@register_dataclass
@dataclass(frozen=True)
class Joined:
    """Several sets of features as one.

    Attributes:
      parts: the sets.
    """

    parts: tuple[FeatureSet, ...]

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        return namespace(points).concatenate([part(points, operator) for part in self.parts], -1)


@register_dataclass
@dataclass(frozen=True)
class One:
    """The feature that is 1 everywhere."""

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n 1"]:
        xp = namespace(points)
        if operator.value is None:
            return xp.zeros((len(points), 1), points.dtype)
        return operator.value[:, None]
