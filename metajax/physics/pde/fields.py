"""What a source or boundary data may be: numbers, grids, functions of x and y."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.physics.pde.geometry import Boundary
from metajax.physics.pde.pytrees import concrete, put, pytree, real


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
      ConfigError: not numbers on two axes of 2 nodes or more.
    """

    values: Any

    def __post_init__(self) -> None:
        try:
            values = real(self.values)
        except (TypeError, ValueError, OverflowError) as error:
            raise ConfigError("grid", self.values, "numbers on two axes") from error
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
      ConfigError: it is none of these, a number that is not finite, or a function that JAX cannot
        trace.
    """
    if isinstance(value, Field):
        return value
    if callable(value):
        check_function(name, value)
        return Function(value)
    expected = "a number, a grid of two axes or a function of x and y"
    try:
        kind = jnp.asarray(value).dtype
        array = real(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(name, value, expected) from error
    is_real = jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)
    if not is_real or array.ndim not in (0, 2):
        raise ConfigError(name, value, expected)
    if array.ndim == 2:
        return Grid(array)
    if concrete(array) and not jnp.isfinite(array):
        raise ConfigError(name, value, "a finite number")
    return Constant(array)


def check_function(name: str, function: Callable[[Array, Array], Any]) -> None:
    """Reject a function that JAX cannot trace, or whose value is not a number at each point.

    Raises:
      ConfigError: what happens when it is called with the coordinates of three points.
    """
    line = jax.ShapeDtypeStruct((3,), jnp.result_type(float))
    try:
        hash(function)  # JAX keeps compiled programs by it
        found = jax.eval_shape(lambda x, y: function(x, y), line, line)
    except Exception as error:  # whatever the caller's code raises
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(
            name,
            function,
            "a function of x and y that JAX can trace, with jax.numpy: jnp.sin for "
            f"np.sin, and jnp.where for `if`; it raised {type(error).__name__}: {said}",
        ) from error
    kinds = jnp.floating, jnp.integer, jnp.bool_
    if (
        not isinstance(found, jax.ShapeDtypeStruct)
        or found.shape not in ((), (1,), (3,))
        or not any(jnp.issubdtype(found.dtype, kind) for kind in kinds)
    ):
        got = f"{found.dtype}{list(found.shape)}" if hasattr(found, "dtype") else repr(found)
        raise ConfigError(
            name,
            function,
            f"a function with one real number for each point; for 3 points it returned {got}",
        )


def as_boundary_field(name: str, value: Any) -> BoundaryField:
    """Make a boundary field of a number, a grid, a function of x and y, or a boundary field.

    Args:
      name: what errors call it.
      value: any of these.

    Returns:
      The field.

    Raises:
      ConfigError: it is none of these.
    """
    return value if isinstance(value, BoundaryField) else as_field(name, value)


def nodes(size: int) -> Float[Array, "size size 2"]:
    """Return the nodes of a grid over the square from -1 to 1: ``[row, column]`` is ``(x, y)``.

    Args:
      size: nodes along a side.

    Returns:
      Their coordinates.
    """
    line = jnp.linspace(-1.0, 1.0, size)
    x, y = jnp.meshgrid(line, line)
    return jnp.stack([x, y], -1)
