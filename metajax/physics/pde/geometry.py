"""Plane domains by constructive geometry on signed distances, with sizes that may be traced.

Shapes are pytrees: a batch of them is one with stacked leaves, under ``jax.vmap``. ``|`` unites,
``&`` intersects and ``-`` takes away. Distances are negative inside. They are exact for
:class:`Rectangle`, :class:`Disk` and :class:`Polygon`; combinations take minima and maxima, so
their sign is exact and their size at most the true distance, as that of an :class:`Ellipse`.

A shape whose leaves are NumPy arrays computes with NumPy where the points are such too: nothing is
compiled.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int32, Integer, Key

from metajax.core import ConfigError, one_of, root
from metajax.physics.pde.pytrees import concrete, namespace, put, pytree, real

NUDGE, FINE_NUDGE = 1e-4, 1e-7
"""How far to both sides of a curve the domain is looked up, in float32 and in float64, relative to
half the extent of the domain."""

LEAST = 0.25
"""Share of boundary points that all curves divide equally where small ones matter."""


class Piece(NamedTuple):
    """A part of the boundary that may have data of its own: a shape's name and its edge's."""

    shape: str
    edge: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What boundary data may call it, the least precise first."""
        if not self.edge:
            return (self.shape,)
        names = self.shape, f"{self.shape}.{self.edge}"
        return (*names, self.edge) if self.shape == "square" else names

    def matches(self, key: str) -> int:
        """How precisely ``key`` names it; 0 not at all."""
        return self.names.index(key) + 1 if key in self.names else 0


class Curves(NamedTuple):
    """What a boundary is made of: segments, circles and ellipses.

    A curve is ``start + t span + radius (cos, sin) @ axes`` of the angle ``2 pi t``.

    Attributes:
      start: a segment's start, a circle's center.
      span: from a segment's start to its end, 0 for a circle.
      radius: a circle's, an ellipse's larger one, 0 for a segment.
      length: 0 where there is none.
      sign: 1 where the outward normal is to the right of a segment, or points out of a circle; -1
        where it is the other way round.
      piece: the index of the :class:`Piece` it belongs to.
      axes: of an ellipse, relative to its larger radius; else the identity.
    """

    start: Float[Array, "curves 2"]
    span: Float[Array, "curves 2"]
    radius: Float[Array, " curves"]
    length: Float[Array, " curves"]
    sign: Float[Array, " curves"]
    piece: Int32[Array, " curves"]
    axes: Float[Array, "curves 2 2"]


class Boundary(NamedTuple):
    """Points of a boundary.

    Attributes:
      points: where; ``[..., 2]``.
      normals: of length 1, out of the domain.
      piece: the index of the :class:`Piece` each lies on.
    """

    points: Float[Array, "n 2"]
    normals: Float[Array, "n 2"]
    piece: Int32[Array, " n"]


COUNTED = {2: "two", 3: "three"}
"""Numbers of coordinates in words."""


class Shape:
    """A domain, in the plane if not stated otherwise.

    Attributes:
      dimensions: how many coordinates it has.
    """

    dimensions: int = 2

    @abstractmethod
    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        """Signed distance of points to the boundary, negative inside."""

    @property
    @abstractmethod
    def bounds(self) -> Float[Array, "2 2"]:
        """Lower and upper corner of a box around it."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[Piece, ...]:
        """The parts of the boundary, in the order of their indices."""

    @property
    @abstractmethod
    def curves(self) -> Curves:
        """The curves that the boundary is part of."""

    def contains(self, points: Float[Array, "*n 2"]) -> Bool[Array, "*n"]:
        """Whether points lie inside, not on the boundary."""
        return self.distance(points) < 0

    def normals(self, points: Float[Array, "n 2"]) -> Float[Array, "n 2"]:
        """Gradients of the distance, of length 1: on the boundary its outward normals.

        0 where a distance has no gradient, as at the center of a disk.
        """
        slope = jax.vmap(jax.grad(self.distance))(points)
        length = norm(slope)[:, None]
        return slope / jnp.where(length > 0, length, 1)

    def __or__(self, other: Shape) -> Shape:
        return Combination(self, other, "union")

    def __and__(self, other: Shape) -> Shape:
        return Combination(self, other, "intersection")

    def __sub__(self, other: Shape) -> Shape:
        return Combination(self, other, "difference")


@pytree
class Rectangle(Shape):
    """A rectangle along the axes, with the edges ``left``, ``right``, ``bottom`` and ``top``.

    Attributes:
      lower: the lower left corner; kept as an array ``[2]``.
      upper: the upper right corner, likewise.
      name: what boundary data call it by. Static.

    Raises:
      ConfigError: ``upper`` is not above ``lower``.
    """

    lower: Any
    upper: Any
    name: str = field(default="rectangle", metadata={"static": True})

    def __post_init__(self) -> None:
        put(
            self,
            lower=coordinates("lower", self.lower, 2),
            upper=coordinates("upper", self.upper, 2),
        )
        if concrete(self) and not (np.asarray(self.lower) < np.asarray(self.upper)).all():
            expected = f"above lower = {np.asarray(self.lower).tolist()}, both coordinates"
            raise ConfigError("upper", np.asarray(self.upper).tolist(), expected)

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        xp = namespace(points, self)
        x, y = points[..., 0], points[..., 1]
        (left, bottom), (right, top) = self.lower, self.upper
        across, along = xp.maximum(left - x, x - right), xp.maximum(bottom - y, y - top)
        outside = safe_root(xp.maximum(across, 0.0) ** 2 + xp.maximum(along, 0.0) ** 2)
        return outside + xp.minimum(xp.maximum(across, along), 0.0)

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        return namespace(self).stack([self.lower, self.upper])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(Piece(self.name, edge) for edge in ("left", "right", "bottom", "top"))

    @property
    def curves(self) -> Curves:
        (left, bottom), (right, top) = self.lower, self.upper
        # counterclockwise, so that outside is to the right
        corners = [(left, top), (right, bottom), (left, bottom), (right, top)]
        ends = [(left, bottom), (right, top), (right, bottom), (left, top)]
        xp = namespace(self)
        return segments(xp.array(corners), xp.array(ends), xp.ones(()), range(4))


def Square(name: str = "square") -> Rectangle:
    """Make the square from -1 to 1.

    Args:
      name: of its boundary.

    Returns:
      The square.

    Examples:
      >>> import jax.numpy as jnp
      >>> from metajax.physics.pde import Disk, Square
      >>> domain = Square() - Disk((0.0, 0.0), 0.5)
      >>> domain.contains(jnp.array([[0.0, 0.0], [0.9, 0.0]]))
      Array([False,  True], dtype=bool)
    """
    return Rectangle(real([-1, -1]), real([1, 1]), name)


class Round(Shape):
    """What a disk and a ball share: all points nearer to a center than a radius.

    Attributes:
      centre: its center.
      radius: above 0.
      name: what boundary data call it by.
    """

    centre: Any
    radius: Any
    name: str

    def __post_init__(self) -> None:
        radius = one_radius(self.radius)
        put(self, centre=coordinates("centre", self.centre, self.dimensions), radius=radius)

    def distance(self, points: Float[Array, "*n d"]) -> Float[Array, "*n"]:
        squares = [(points[..., k] - centre) ** 2 for k, centre in enumerate(self.centre)]
        return safe_root(sum(squares[1:], squares[0])) - self.radius

    @property
    def bounds(self) -> Float[Array, "2 d"]:
        xp = namespace(self)
        return xp.stack([self.centre - self.radius, self.centre + self.radius])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return (Piece(self.name),)


@pytree
class Disk(Round):
    """A disk.

    Attributes:
      centre: its center; kept as an array ``[2]``.
      radius: above 0; likewise, ``[]``.
      name: what boundary data call it by. Static.

    Raises:
      ConfigError: ``radius`` is not above 0.
    """

    centre: Any
    radius: Any
    name: str = field(default="disk", metadata={"static": True})

    @property
    def curves(self) -> Curves:
        xp = namespace(self)
        radius, one = self.radius[None], xp.ones_like(self.radius)[None]
        zero = xp.zeros((1, 2), radius.dtype)
        length, piece = 2 * xp.pi * radius, xp.zeros(1, xp.int32)
        axes = xp.eye(2, dtype=radius.dtype)[None]
        return Curves(self.centre[None], zero, radius, length, one, piece, axes)


@pytree
class Ellipse(Shape):
    """An ellipse. Its distance has the right sign, and at most the true size.

    Attributes:
      centre: its center; kept as an array ``[2]``.
      radii: above 0, along its first and its second axis; likewise.
      angle: by which it is turned counterclockwise, in radians; likewise, ``[]``.
      name: what boundary data call it by. Static.

    Raises:
      ConfigError: ``radii`` are not above 0.
    """

    centre: Any
    radii: Any
    angle: Any = 0.0
    name: str = field(default="ellipse", metadata={"static": True})

    def __post_init__(self) -> None:
        angle = finite("angle", self.angle, "a finite number")
        centre, radii = coordinates("centre", self.centre, 2), coordinates("radii", self.radii, 2)
        put(self, centre=centre, radii=radii, angle=angle)
        if angle.ndim:
            raise ConfigError("angle", self.angle, "one number")
        if concrete(self) and not (np.asarray(self.radii) > 0).all():
            raise ConfigError("radii", np.asarray(self.radii).tolist(), "both above 0")

    @property
    def turned(self) -> Float[Array, "2 2"]:
        """The directions of its two axes, in rows."""
        xp = namespace(self)
        cos, sin = xp.cos(self.angle), xp.sin(self.angle)
        return xp.stack([xp.stack([cos, sin]), xp.stack([-sin, cos])])

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        x, y = points[..., 0] - self.centre[0], points[..., 1] - self.centre[1]
        (a, b), (c, d) = self.turned
        first, second = (a * x + b * y) / self.radii[0], (c * x + d * y) / self.radii[1]
        return (safe_root(first**2 + second**2) - 1) * self.radii.min()

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        xp = namespace(self)
        reach = norm((self.turned * self.radii[:, None]).T)
        return xp.stack([self.centre - reach, self.centre + reach])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return (Piece(self.name),)

    @property
    def curves(self) -> Curves:
        xp = namespace(self)
        radius = self.radii.max()
        axes = self.turned * (self.radii / radius)[:, None]
        angle = xp.asarray((np.arange(RIM) + 0.5) * (2 * np.pi / RIM), radius.dtype)
        around = xp.stack([-xp.sin(angle), xp.cos(angle)], 1) @ (radius * axes)
        # the mean over all angles converges faster than any power of their number
        length = 2 * np.pi * norm(around).mean()
        zero, one = xp.zeros((1, 2), radius.dtype), xp.ones((1,), radius.dtype)
        piece = xp.zeros(1, xp.int32)
        start = self.centre[None]
        return Curves(start, zero, radius[None], length[None], one, piece, axes[None])


RIM = 512
"""Angles from which the length of an ellipse is found."""
UNROLLED = 16
"""Edges of a polygon that are compiled side by side, which runs faster; XLA takes minutes for
hundreds, so more of them are a loop."""


@pytree
class Polygon(Shape):
    """A polygon whose edges do not cross, in either direction; its boundary is one piece.

    For polygons of several sizes in one batch repeat a vertex: edges of length 0 change nothing.

    Attributes:
      vertices: three or more; kept as an array ``[vertices, 2]``.
      name: what boundary data call it by. Static.

    Raises:
      ConfigError: fewer than 3 different vertices.
    """

    vertices: Any
    name: str = field(default="polygon", metadata={"static": True})

    def __post_init__(self) -> None:
        expected = "one row of two finite coordinates per vertex"
        vertices = finite("vertices", self.vertices, expected)
        if vertices.ndim != 2 or vertices.shape[1] != 2:
            raise ConfigError("vertices", vertices.shape, "one row of two coordinates per vertex")
        different = len(np.unique(vertices, axis=0)) if concrete(vertices) else len(vertices)
        if different < 3:
            raise ConfigError("vertices", np.shape(vertices), f"3 or more, not {different}")
        put(self, vertices=vertices)

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        xp = namespace(points, self)
        x, y = points[..., 0], points[..., 1]
        edges = (self.vertices, xp.roll(self.vertices, -1, axis=0))

        def add(found: tuple[Array, Array], edge: tuple[Array, Array]) -> tuple[Any, None]:
            nearest, inside = found
            (x_start, y_start), (x_end, y_end) = edge
            across, along = x_end - x_start, y_end - y_start
            squared = across**2 + along**2
            right, up = x - x_start, y - y_start
            scale = 1 / xp.where(squared > 0, squared, 1.0)
            t = xp.clip((right * across + up * along) * scale, 0.0, 1.0)
            apart = (right - t * across) ** 2 + (up - t * along) ** 2
            # whether a ray to the right crosses the edge
            slope = across / xp.where(along == 0, 1.0, along)
            crosses = ((y_start > y) != (y_end > y)) & (right < up * slope)
            return (xp.minimum(nearest, apart), inside ^ crosses), None

        found = xp.full(x.shape, xp.inf, x.dtype), xp.zeros(x.shape, bool)
        if xp is jnp and len(self.vertices) > UNROLLED:
            found, _ = jax.lax.scan(add, found, edges)
        else:
            for edge in zip(*edges, strict=True):
                found, _ = add(found, edge)
        nearest, inside = found
        return xp.where(inside, -1.0, 1.0) * safe_root(nearest)

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        xp = namespace(self)
        return xp.stack([xp.min(self.vertices, 0), xp.max(self.vertices, 0)])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return (Piece(self.name),)

    @property
    def curves(self) -> Curves:
        xp = namespace(self)
        ends = xp.roll(self.vertices, -1, axis=0)
        # around the first vertex: far from the origin, a small polygon's area would be rounded away
        (x, y), (x_end, y_end) = ((at - self.vertices[:1]).T for at in (self.vertices, ends))
        counterclockwise = xp.sign(xp.sum(x * y_end - x_end * y))
        return segments(self.vertices, ends, counterclockwise, [0] * len(ends))


@pytree
class Empty(Shape):
    """Nothing, as one of the shapes of a :class:`ChosenShape`."""

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        return namespace(points).full(points.shape[:-1], np.inf, points.dtype)

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        return real([[jnp.inf, jnp.inf], [-jnp.inf, -jnp.inf]])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return ()

    @property
    def curves(self) -> Curves:
        none = real(np.zeros((0, 2)))
        number, axes = none[:, 0], real(np.zeros((0, 2, 2)))
        return Curves(none, none, number, number, number, jnp.zeros(0, jnp.int32), axes)


@pytree
class ChosenShape(Shape):
    """One of several shapes, by an index that may be traced.

    Attributes:
      index: which, 0 to ``len(options) - 1``.
      options: the shapes; the pieces of all of them have indices, whichever is chosen.
    """

    index: Integer[Array, ""]
    options: tuple[Shape, ...]

    def pick(self, values: Sequence[Array]) -> Array:
        """The value that belongs to the chosen shape."""
        if namespace(self.index, values) is np:
            return values[int(self.index)]
        return jax.lax.select_n(jnp.asarray(self.index, jnp.int32), *values)

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        return self.pick([option.distance(points) for option in self.options])

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        return self.pick([option.bounds for option in self.options])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return tuple(piece for option in self.options for piece in option.pieces)

    @property
    def curves(self) -> Curves:
        parts = []
        for number, option in enumerate(self.options):
            curves = option.curves
            length = namespace(curves).where(self.index == number, curves.length, 0.0)
            parts.append(curves._replace(length=length))
        return joined(parts, [len(option.pieces) for option in self.options])


@pytree
class Combination(Shape):
    """Two shapes united, intersected or taken one from the other: ``a | b``, ``a & b``, ``a - b``.

    Attributes:
      first: a shape.
      second: another.
      operation: ``union``, ``intersection`` or ``difference``. Static.
    """

    first: Shape
    second: Shape
    operation: str = field(metadata={"static": True})

    def __post_init__(self) -> None:
        one_of("operation", self.operation, ("union", "intersection", "difference"))
        for name in ("first", "second"):
            if not isinstance(getattr(self, name), Shape):
                raise ConfigError(name, getattr(self, name), "a shape")
        if self.second.dimensions != self.first.dimensions:
            expected = f"a shape of {self.first.dimensions} coordinates, as the other"
            raise ConfigError("second", self.second.pieces, expected)

    @property
    def dimensions(self) -> int:  # type: ignore[override]
        """How many coordinates it has."""
        return self.first.dimensions

    def distance(self, points: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
        first, second = self.first.distance(points), self.second.distance(points)
        xp = namespace(first, second)
        if self.operation == "union":
            return xp.minimum(first, second)
        return xp.maximum(first, -second if self.operation == "difference" else second)

    @property
    def bounds(self) -> Float[Array, "2 2"]:
        first, second = self.first.bounds, self.second.bounds
        if self.operation == "difference":
            return first
        xp = namespace(first, second)
        inner, outer = xp.minimum(first, second), xp.maximum(first, second)
        if self.operation == "union":
            return xp.stack([inner[0], outer[1]])
        return xp.stack([outer[0], inner[1]])

    @property
    def pieces(self) -> tuple[Piece, ...]:
        return self.first.pieces + self.second.pieces

    @property
    def curves(self) -> Curves:
        second = self.second.curves
        if self.operation == "difference":
            second = second._replace(sign=-second.sign)
        return joined([self.first.curves, second], [len(self.first.pieces), 0])


def sample_interior(
    shape: Shape, key: Key[Array, ""], num: int, *, oversample: int = 4
) -> Float[Array, "num 2"]:
    """Draw points uniformly from the inside.

    ``oversample * num`` are drawn in :attr:`Shape.bounds` and ``num`` of those inside taken; where
    there are fewer, some appear again. All are NaN where not one is inside.

    Args:
      shape: the domain.
      key: of the draw.
      num: points to return.
      oversample: points drawn for each that is returned.

    Returns:
      The points.
    """
    points, keep = candidates_inside(shape, key, oversample * num)
    index, found = spread(keep, num)
    return jnp.where(found, points[index], jnp.nan)


def sample_interior_near(
    shape: Shape, key: Key[Array, ""], num: int, *, oversample: int = 4
) -> Float[Array, "num 2"]:
    """Draw points of the inside as :func:`sample_interior`, also where the inside is narrow.

    Where too few of the uniform ones are inside, others take the place of those that would appear
    again. They lie a random way in from the boundary, at any depth from 1e-6 of the domain's size
    to all of it.
    """
    key, edge_key, depth_key = jax.random.split(key, 3)
    uniform, keep = candidates_inside(shape, key, oversample * num)
    edge = sample_boundary(shape, edge_key, oversample * num, least=LEAST)
    half = half_extent(shape)
    power = jax.random.uniform(
        depth_key, (oversample * num,), edge.points.dtype, minval=-6.0, maxval=math.log10(2)
    )
    near = edge.points - (half * 10.0**power)[:, None] * edge.normals
    index, found = spread(keep, num)
    near_index, near_found = spread(shape.contains(near), num)
    # as many of the second kind as are lacking, evenly among all
    lacking = jnp.maximum(1 - jnp.mean(keep) * oversample, 0.0)
    order = jnp.arange(num, dtype=lacking.dtype)
    turn = jnp.floor((order + 1) * lacking) > jnp.floor(order * lacking)
    chosen = (turn | ~found) & near_found
    points = jnp.where(chosen[:, None], near[near_index], uniform[index])
    return jnp.where(found | near_found, points, jnp.nan)


def candidates_inside(
    shape: Shape, key: Key[Array, ""], num: int
) -> tuple[Float[Array, "num 2"], Bool[Array, " num"]]:
    """Uniform points of the box around a shape, and which are inside."""
    unit = jax.random.uniform(key, (num, 2))
    lower, upper = shape.bounds
    points = lower[None] + unit * (upper - lower)[None]
    return points, shape.contains(points)


def sample_boundary(
    shape: Shape,
    key: Key[Array, ""],
    num: int,
    *,
    on: Bool[Array, " pieces"] | None = None,
    oversample: int = 2,
    least: float = 0.0,
) -> Boundary:
    """Draw points of the boundary, uniformly by length, stratified: nearly equally far apart.

    ``oversample * num`` are drawn from all curves and ``num`` of those that other shapes do not
    hide taken, in the order of :attr:`Shape.curves`; where there are fewer, some appear again.
    All are NaN where not one is left.

    Args:
      shape: the domain.
      key: what is drawn from.
      num: how many.
      on: the pieces to draw from; all by default.
      oversample: how many are drawn for one that is taken.
      least: share of the points that all curves divide equally, as a least number for each.

    Returns:
      The points, with normals and curves.
    """
    curves = shape.curves
    if on is not None:
        curves = curves._replace(length=jnp.where(on[curves.piece], curves.length, 0.0))
    unit = jax.random.uniform(key, (oversample * num,), curves.length.dtype)
    candidates, spacing = walk(curves, unit, least)
    points, normals, piece = candidates
    index, found = spread(ends_here(shape, candidates, curves) & (spacing > 0), num)
    points, normals = (jnp.where(found, leaf[index], jnp.nan) for leaf in (points, normals))
    return Boundary(points, normals, piece[index])


def ends_here(shape: Shape, at: Boundary, curves: Curves) -> Bool[Array, " n"]:
    """Whether the domain ends at points of its curves: it is on one side, and not on the other."""
    usual = half_extent(shape) * (FINE_NUDGE if at.points.dtype == jnp.float64 else NUDGE)
    # a hole that is smaller than the nudge would be looked past
    smallest = jnp.min(jnp.where(curves.length > 0, curves.length, jnp.inf))
    nudge = jnp.clip(smallest / 50, usual / 100, usual) * at.normals
    return shape.contains(at.points - nudge) & ~shape.contains(at.points + nudge)


def walk(
    curves: Curves, unit: Float[Array, " n"], least: float = 0.0
) -> tuple[Boundary, Float[Array, " n"]]:
    """Points all along the curves, one in each n-th of their length at ``unit`` of the way.

    Args:
      curves: where.
      unit: 0 to 1.
      least: share of the points that all curves divide equally, as a least number for each.

    Returns:
      The points, hidden by other shapes or not, and the length that each stands for: 0 where the
      curves have none.
    """
    floor = jnp.sum(curves.length) * (least / len(curves.length))
    share = jnp.where(curves.length > 0, jnp.maximum(curves.length, floor), 0.0)
    ends = jnp.cumsum(share)
    step = ends[-1] / len(unit)
    place = (jnp.arange(len(unit), dtype=unit.dtype) + unit) * step
    curve = jnp.sum(ends[None] <= place[:, None], 1, dtype=jnp.int32)
    curve = jnp.minimum(curve, len(ends) - 1)
    wide = jnp.where(share > 0, share, 1.0)[curve]
    t = jnp.clip((place - (ends - share)[curve]) / wide, 0.0, 1.0)
    return points_along(curves, curve, t), step * curves.length[curve] / wide


def points_along(curves: Curves, curve: Int32[Array, " n"], along: Float[Array, " n"]) -> Boundary:
    """Return points of curves, with the normals out of the domain.

    Args:
      curves: of a domain.
      curve: their indices.
      along: how far along the curve, 0 to 1.
    """
    start, span, radius, _, sign, piece, axes = jax.tree.map(lambda leaf: leaf[curve], curves)
    t = along[:, None]
    cos, sin = jnp.cos(2 * jnp.pi * t), jnp.sin(2 * jnp.pi * t)
    turn = cos * axes[:, 0] + sin * axes[:, 1]
    tangent = jnp.where(radius[:, None] > 0, cos * axes[:, 1] - sin * axes[:, 0], span)
    outward = jnp.stack([tangent[:, 1], -tangent[:, 0]], 1)
    wide_normal = norm(outward)
    outward = outward * (sign / jnp.where(wide_normal > 0, wide_normal, 1.0))[:, None]
    return Boundary(start + t * span + radius[:, None] * turn, outward, piece)


def spread(keep: Bool[Array, " m"], num: int) -> tuple[Int32[Array, " num"], Bool[Array, ""]]:
    """Choose ``num`` of the indices to keep, evenly among them, and tell whether there is any."""
    rank = jnp.cumsum(keep, dtype=jnp.int32)
    # in floats, as rank * num would not fit in 32 bits
    wanted = (jnp.arange(num, dtype=jnp.float32) + 0.5) * (rank[-1].astype(jnp.float32) / num)
    index = jnp.searchsorted(rank, wanted.astype(jnp.int32) + 1)
    return jnp.minimum(index, len(keep) - 1).astype(jnp.int32), rank[-1] > 0


def segments(
    start: Float[Array, "curves 2"], end: Float[Array, "curves 2"], sign: Array, pieces: Any
) -> Curves:
    """Make the curves of straight edges."""
    xp = namespace(start, end)
    span, zero = end - start, xp.zeros_like(start[:, 0])
    piece = xp.asarray(np.array(pieces, np.int32))
    axes = xp.broadcast_to(xp.eye(2, dtype=span.dtype)[None], (len(span), 2, 2))
    return Curves(start, span, zero, norm(span), xp.broadcast_to(sign, zero.shape), piece, axes)


def joined(parts: Sequence[Curves], pieces: Sequence[int]) -> Curves:
    """All curves of shapes that have so many ``pieces``."""
    first = np.cumsum([0, *pieces[:-1]])
    moved = [
        part._replace(piece=part.piece + int(number))
        for part, number in zip(parts, first, strict=True)
    ]
    return jax.tree.map(lambda *leaves: namespace(leaves).concatenate(leaves), *moved)


def half_extent(shape: Shape) -> Float[Array, ""]:
    """Half the longer side of the box around a shape: 1 for the square from -1 to 1."""
    lower, upper = shape.bounds
    return namespace(lower, upper).max(upper - lower) / 2


def safe_root(squared: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The square root, with slope 0 at 0; NumPy's of a NumPy array."""
    host: Any = np
    return root(squared) if namespace(squared) is jnp else host.sqrt(squared)


def norm(vectors: Float[Array, "*n 2"]) -> Float[Array, "*n"]:
    """Lengths, with slope 0 at 0."""
    return safe_root((vectors**2).sum(-1))


def coordinates(name: str, value: Any, number: int) -> Float[Array, " number"]:
    """So many coordinates.

    Raises:
      ConfigError: they are not so many, or not finite.
    """
    array = finite(name, value, f"{COUNTED[number]} finite coordinates")
    if array.shape != (number,):
        raise ConfigError(name, np.shape(value), f"{COUNTED[number]} coordinates")
    return array


def one_radius(value: Any) -> Float[Array, ""]:
    """The radius of a disk or a ball.

    Raises:
      ConfigError: it is not one finite number, or not above 0 where it is known.
    """
    radius = finite("radius", value, "a finite number above 0")
    if radius.ndim:
        raise ConfigError("radius", value, "one number")
    if concrete(radius) and not radius > 0:
        raise ConfigError("radius", float(radius), "above 0")
    return radius


def finite(name: str, value: Any, expected: str) -> Float[Array, "..."]:
    """Convert numbers to an array, rejected where they are none or, if they are known, not finite.

    Raises:
      ConfigError: as described.
    """
    try:
        is_bool = jnp.asarray(value).dtype == bool
        array = real(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(name, value, expected) from error
    if is_bool or (concrete(array) and not np.isfinite(array).all()):
        raise ConfigError(name, value, expected)
    return array
