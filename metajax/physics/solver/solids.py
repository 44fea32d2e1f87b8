"""Solids: domains in three coordinates, x, y, z, or x, y, t for a plane domain over time.

Their union, intersection and difference work as for shapes of the plane.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import field
from typing import Any

import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError
from metajax.physics.pde import Curves, Piece, Rectangle, Shape, namespace
from metajax.physics.pde.geometry import Round, coordinates, finite
from metajax.physics.pde.pytrees import concrete, put, pytree
from metajax.physics.solver.operators import Array
from metajax.physics.solver.points import Face, faces_of


class Solid(Shape):
    """A domain in three coordinates."""

    dimensions = 3

    @property
    def curves(self) -> Curves:
        raise TypeError("the boundary of a solid has no curves, but faces")

    @property
    @abstractmethod
    def faces(self) -> list[Face]:
        """The faces that contain its boundary."""


@pytree
class Ball(Round, Solid):
    """A ball.

    Attributes:
      centre: its center; kept as an array ``[3]``.
      radius: above 0; likewise, ``[]``.
      name: what boundary data call it by. Static.

    Raises:
      ConfigError: ``radius`` is not above 0.
    """

    centre: Any
    radius: Any
    name: str = field(default="ball", metadata={"static": True})

    @property
    def faces(self) -> list[Face]:
        def place(unit: Float[np.ndarray, "n 2"]) -> tuple[Any, Any]:
            # equal areas have equal heights (Archimedes)
            height, angle = 2 * unit[:, 1] - 1, 2 * np.pi * unit[:, 0]
            around = np.sqrt(np.maximum(1 - height**2, 0))
            normals = np.stack([around * np.cos(angle), around * np.sin(angle), height], 1)
            return self.centre + self.radius * normals, normals

        return [Face(place, 0)]


@pytree
class Extruded(Solid):
    """A plane shape times an interval of the third coordinate: a prism, or a domain over time.

    Its sides are called as the shape's edges are, and ``side`` where these have no name; its ends
    are the edges ``lower`` and ``upper`` of the plane shape's first shape.

    Attributes:
      shape: of x and y.
      lower: where the interval begins; kept as an array ``[]``.
      upper: where it ends; likewise.

    Raises:
      ConfigError: ``shape`` is none of the plane, or ``upper`` is not above ``lower``.
    """

    shape: Shape
    lower: Any
    upper: Any

    def __post_init__(self) -> None:
        if not isinstance(self.shape, Shape) or self.shape.dimensions != 2:
            raise ConfigError("shape", self.shape, "a shape of the plane")
        ends = [finite(key, getattr(self, key), "a finite number") for key in ("lower", "upper")]
        put(self, lower=ends[0], upper=ends[1])
        for key, end in zip(("lower", "upper"), ends, strict=True):
            if end.ndim:
                raise ConfigError(key, getattr(self, key), "one number")
        if concrete(self) and not self.lower < self.upper:
            raise ConfigError("upper", float(self.upper), f"above lower = {float(self.lower)}")

    def distance(self, points: Float[Array, "*n 3"]) -> Float[Array, "*n"]:
        plane, last = self.shape.distance(points[..., :2]), points[..., 2]
        xp = namespace(plane)
        return xp.maximum(plane, xp.maximum(self.lower - last, last - self.upper))

    @property
    def bounds(self) -> Float[Array, "2 3"]:
        plane = self.shape.bounds
        xp = namespace(plane, self.lower)
        return xp.concatenate([plane, xp.stack([self.lower, self.upper])[:, None]], 1)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        sides = [Piece(shape, edge or "side") for shape, edge in self.shape.pieces]
        first = sides[0].shape
        return (*sides, Piece(first, "lower"), Piece(first, "upper"))

    @property
    def faces(self) -> list[Face]:
        (left, bottom, lower), (right, top, upper) = np.asarray(self.bounds, np.float64)
        corner, span = np.array([left, bottom]), np.array([right - left, top - bottom])

        def side(edge: Face) -> Face:
            def place(unit: Float[np.ndarray, "n 2"]) -> tuple[Any, Any]:
                points, normals = edge.place(unit[:, :1])
                last = lower + (upper - lower) * unit[:, 1:]
                return np.hstack([points, last]), np.hstack([normals, np.zeros_like(last)])

            return Face(place, edge.piece)

        def end(last: float, outward: float, piece: int) -> Face:
            def place(unit: Float[np.ndarray, "n 2"]) -> tuple[Any, Any]:
                one = np.ones((len(unit), 1))
                points = np.hstack([corner + span * unit, last * one])
                return points, np.hstack([np.zeros_like(unit), outward * one])

            return Face(place, piece)

        num = len(self.shape.pieces)
        ends = [end(lower, -1.0, num), end(upper, 1.0, num + 1)]
        return [*(side(edge) for edge in faces_of(self.shape)), *ends]


def Box(lower: Any, upper: Any, name: str = "box") -> Extruded:
    """Make a box along the axes, as an :class:`Extruded` rectangle.

    Its edges are ``left`` and ``right``, ``bottom`` and ``top``, ``lower`` and ``upper``.

    Args:
      lower: its lower corner, three coordinates.
      upper: its upper corner, likewise.
      name: what boundary data call it by.

    Returns:
      The box.

    Raises:
      ConfigError: ``upper`` is not above ``lower``.

    Examples:
      >>> import numpy as np
      >>> from metajax.physics.solver import Ball, Box
      >>> domain = Box((0, 0, 0), (2, 1, 1)) - Ball((1, 0.5, 0.5), 0.25)
      >>> [bool(one) for one in domain.contains(np.array([[1, 0.5, 0.5], [0.1, 0.1, 0.1]]))]
      [False, True]
    """
    corners = [coordinates(key, value, 3) for key, value in (("lower", lower), ("upper", upper))]
    if concrete(corners) and not (np.asarray(corners[0]) < np.asarray(corners[1])).all():
        expected = f"above lower = {np.asarray(corners[0]).tolist()}, all coordinates"
        raise ConfigError("upper", np.asarray(corners[1]).tolist(), expected)
    plane = Rectangle(corners[0][:2], corners[1][:2], name)
    return Extruded(plane, corners[0][2], corners[1][2])
