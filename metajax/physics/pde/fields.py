"""What a source or boundary data may be: numbers, grids, functions of x and y."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.physics.pde.geometry import Boundary
from metajax.physics.pde.pytrees import put, pytree, real


class BoundaryField(ABC):
    """A pytree that gives a value at points of a boundary, where normals or pieces may matter."""

    @abstractmethod
    def on(self, boundary: Boundary) -> Float[Array, " n"]:
        """The value at points of a boundary."""


class Field(BoundaryField):
    """A pytree that gives a value at any points."""

    @abstractmethod
    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        """The value at points."""

    def on(self, boundary: Boundary) -> Float[Array, " n"]:
        return self(boundary.points)


@pytree
class Constant(Field):
    """The same number everywhere, which may be traced."""

    value: Float[Array, ""]

    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        return jnp.broadcast_to(self.value, points.shape[:-1])


@pytree
class Grid(Field):
    """Values on the nodes of a grid over the square from -1 to 1, bilinear between them.

    Attributes:
      values: ``values[row, column]`` belongs to ``y = -1 + 2 row / (rows - 1)``, and ``x`` alike.

    Raises:
      ConfigError: not two axes of 2 nodes or more.
    """

    values: Any

    def __post_init__(self) -> None:
        values = real(self.values)
        if values.ndim != 2 or min(values.shape) < 2:
            raise ConfigError(
                "grid", values.shape, "two axes, rows (y) and columns (x), of 2 or more"
            )
        put(self, values=values)

    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        rows, columns = self.values.shape
        column = (points[:, 0] + 1) * (columns - 1) / 2
        row = (points[:, 1] + 1) * (rows - 1) / 2
        return jax.scipy.ndimage.map_coordinates(self.values, [row, column], 1, mode="nearest")


@pytree
class Function(Field):
    """A function of the coordinates; it is part of the pytree's structure, not a leaf.

    Attributes:
      function: ``function(x [n], y [n]) -> [n]`` or a number, of ``jax.numpy``. Static.
    """

    function: Callable[[Array, Array], Any] = field(metadata={"static": True})

    def __call__(self, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        x, y = points.T
        return jnp.broadcast_to(jnp.asarray(self.function(x, y), points.dtype), x.shape)


def as_field(name: str, value: Any) -> Field:
    """Make a field of a number, a grid, a function of ``x`` and ``y``, or a field.

    Raises:
      ConfigError: it is none of these.
    """
    if isinstance(value, Field):
        return value
    if callable(value):
        return Function(value)
    try:
        ndim = np.ndim(value)
        value = real(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(name, value, "a number, a grid or a function of x and y") from error
    if ndim == 0:
        return Constant(value)
    if ndim == 2:
        return Grid(value)
    raise ConfigError(name, value.shape, "a number, a grid of two axes or a function of x and y")


def as_boundary_field(name: str, value: Any) -> BoundaryField:
    """Make a boundary field of anything that :func:`as_field` takes, or of a boundary field.

    Raises:
      ConfigError: it is none of these.
    """
    return value if isinstance(value, BoundaryField) else as_field(name, value)


def nodes(size: int) -> Float[Array, "size size 2"]:
    """The nodes of a grid over the square from -1 to 1: ``[row, column]`` is ``(x, y)``."""
    line = jnp.linspace(-1.0, 1.0, size)
    x, y = jnp.meshgrid(line, line)
    return jnp.stack([x, y], -1)
