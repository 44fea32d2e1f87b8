"""Features: functions of one direction, and second-order operators applied to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import qmc

from metajax.core import register_dataclass
from metajax.physics.pde import namespace
from metajax.physics.solver.operators import Array, Operator, Values

Kind = Literal["tanh", "sin"]
"""Shapes of a function of one direction."""


class FeatureSet(Protocol):
    """Functions to combine, as a pytree.

    Sets that know it say how many they are, as ``num``. Those that are computed faster at a few
    points at a time, for which a core's cache has room, say at how many, as ``rows``.
    """

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        """Return the operator applied to every function at the points.

        Args:
          points: in units: the domain's box is from -1 to 1.
          operator: at these points, for derivatives in units.
        """


@runtime_checkable
class Combined(Protocol):
    """Functions whose combination is computed faster than the functions one by one."""

    def combined(self, points: Float[Array, "n d"], weights: Float[Array, " num"]) -> Values:
        """Return one combination with its derivatives at points."""


def tanh_shape(xp: Any, inside: Array, sloped: bool) -> tuple[Array, Array, Array]:
    """tanh with its first two derivatives."""
    value = xp.tanh(inside)
    slope = 1 - value * value
    return value, slope, -2 * value * slope


def sin_shape(xp: Any, inside: Array, sloped: bool) -> tuple[Array, Array | None, Array]:
    """sin with its first two derivatives; the first one only where it is used."""
    if xp is np:
        value, slope = host_sin(inside, sloped)
    else:
        value, slope = xp.sin(inside), xp.cos(inside) if sloped else None
    return value, slope, -value


CHUNK, MANY = 8192, 32768
"""Numbers at a time that fit a core's cache: in one array, and in several of a formula."""


def host_sin(
    inside: Float[np.ndarray, "n num"], sloped: bool
) -> tuple[Float[np.ndarray, "n num"], Float[np.ndarray, "n num"] | None]:
    """Return sine and, if asked for, cosine by the tangent of half the angle, to rounding.

    NumPy computes a tangent ten times as fast as a sine, which it does not vectorize.

    Args:
      inside: the angles.
      sloped: whether the cosine is wanted.
    """
    flat = inside.reshape(-1)
    sine, cosine = np.empty_like(flat), np.empty_like(flat) if sloped else None
    room = np.empty(CHUNK)
    for begin in range(0, len(flat), CHUNK):
        here = slice(begin, begin + CHUNK)
        tangent = sine[here]
        share = room[: len(tangent)] if cosine is None else cosine[here]
        np.multiply(flat[here], 0.5, out=tangent)
        np.tan(tangent, out=tangent)
        # 2 / (1 + tan^2) is 1 + cos, and that times tan is sin
        np.multiply(tangent, tangent, out=share)
        np.add(share, 1.0, out=share)
        np.divide(2.0, share, out=share)
        np.multiply(tangent, share, out=tangent)
        if cosine is not None:
            np.subtract(share, 1.0, out=share)
    return sine.reshape(inside.shape), None if cosine is None else cosine.reshape(inside.shape)


MOST_LINES, SPARSE = 4.0, 3.0
"""Points are taken for nodes of a grid that have at most so many different last coordinates, over
the root of their number, and make up at least one in so many of its nodes."""
SHAPES: dict[str, Callable[[Any, Array, bool], tuple[Array, Any, Array]]] = {
    "tanh": tanh_shape,
    "sin": sin_shape,
}


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

    @property
    def num(self) -> int:
        """How many functions there are."""
        return len(self.offsets)

    @property
    def rows(self) -> int:
        """Points at which all functions fit a core's cache."""
        return max(MANY // self.num, 1)

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        xp = namespace(points)
        if xp is np and len(points) > self.rows:
            every = np.empty((len(points), self.num))
            put(self, points, operator, every)
            return every
        inside = points @ self.directions + self.offsets[None]
        value, slope, bend = SHAPES[self.shape](xp, inside, operator.gradient is not None)
        found = 0.0 if operator.value is None else operator.value[:, None] * value
        if operator.gradient is not None:
            found = found + (operator.gradient @ self.directions) * slope
        if operator.hessian is not None:
            dimensions, num = self.directions.shape
            squares = self.directions[:, None] * self.directions[None]
            flat = operator.hessian.reshape(-1, dimensions**2)
            found = found + (flat @ squares.reshape(dimensions**2, num)) * bend
        return found

    def combined(self, points: Float[Array, "n d"], weights: Float[Array, " num"]) -> Values:
        """Return one combination of the functions with its derivatives at points."""
        if namespace(points) is np and len(points) > self.rows:
            grid = grid_of(points) if self.shape == "sin" else None
            if grid is not None:
                return self.on_grid(grid, weights)
            parts = [
                self.combined(points[here], weights) for here in slices(len(points), self.rows)
            ]
            return Values(*(np.concatenate(leaves) for leaves in zip(*parts, strict=True)))
        inside = points @ self.directions + self.offsets[None]
        value, slope, bend = SHAPES[self.shape](namespace(points), inside, True)
        squares = self.directions[:, None] * self.directions[None]
        dimensions, num = self.directions.shape
        second = bend @ (weights * squares).reshape(dimensions**2, num).T
        return Values(
            value @ weights,
            slope @ (weights * self.directions).T,
            second.reshape(-1, dimensions, dimensions),
        )

    def on_grid(self, grid: Grid, weights: Float[np.ndarray, " num"]) -> Values:
        """Return one combination of sines with its derivatives at nodes of a grid.

        A sine of a sum is ``sin a cos b + cos a sin b``, so that there is a product of two tables
        in place of a sine for each node.

        Args:
          grid: the nodes.
          weights: of the functions.
        """
        dimensions = len(self.directions)
        first = grid.first @ self.directions[:-1]
        last = np.outer(grid.last, self.directions[-1]) + self.offsets
        (sine, cosine), (last_sine, last_cosine) = (
            sin_shape(np, angles, True)[:2] for angles in (first, last)
        )
        assert cosine is not None and last_cosine is not None
        pairs = [(i, j) for i in range(dimensions) for j in range(i + 1)]
        each = [weights * (self.directions[i] * self.directions[j]) for i, j in pairs]

        def at_nodes(first: np.ndarray, last: np.ndarray, factors: Any) -> np.ndarray:
            tables = [(first * factor) @ last.T for factor in factors]
            return np.stack([table[grid.nodes] for table in tables])

        factors = [weights, *each]
        values = at_nodes(sine, last_cosine, factors) + at_nodes(cosine, last_sine, factors)
        slopes = weights * self.directions
        gradient = at_nodes(cosine, last_cosine, slopes) - at_nodes(sine, last_sine, slopes)
        hessian = np.empty((len(grid.nodes[0]), dimensions, dimensions))
        for (i, j), bend in zip(pairs, values[1:], strict=True):
            hessian[:, i, j] = hessian[:, j, i] = -bend
        return Values(values[0], gradient.T, hessian)


class Grid(NamedTuple):
    """Nodes of a grid.

    Attributes:
      first: all places that they have without their last coordinate.
      last: all their last coordinates.
      nodes: the indices of both, for each node.
    """

    first: Float[np.ndarray, "a d-1"]
    last: Float[np.ndarray, " b"]
    nodes: tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]


def grid_of(points: Float[np.ndarray, "n d"]) -> Grid | None:
    """Return points as nodes of a grid; None where they are too few of its nodes.

    Args:
      points: any.
    """
    last, second = np.unique(points[:, -1], return_inverse=True)
    if points.shape[1] < 2 or len(last) > MOST_LINES * np.sqrt(len(points)):
        return None
    first, index = np.unique(points[:, :-1], axis=0, return_inverse=True)
    if len(first) * len(last) > SPARSE * len(points):
        return None
    return Grid(first, last, (index.reshape(-1), second))


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

    num = 1

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n 1"]:
        xp = namespace(points)
        if operator.value is None:
            return xp.zeros((len(points), 1), points.dtype)
        return operator.value[:, None]


def put(
    features: FeatureSet,
    points: Float[np.ndarray, "n d"],
    operator: Operator,
    out: Float[np.ndarray, "n num"],
) -> None:
    """Write the operator applied to every function into an array, on the host.

    Args:
      features: the functions.
      points: in units.
      operator: at these points.
      out: what is written to, of any order.
    """
    if isinstance(features, Joined):
        begin = 0
        for part in features.parts:
            end = begin + counted(part, points.shape[1])
            put(part, points, operator, out[:, begin:end])
            begin = end
        return
    rows = getattr(features, "rows", None)
    if rows is None:
        out[...] = features(points, operator)  # which may know these points
        return
    for here in slices(len(points), rows):
        out[here] = features(points[here], operator.at(here))


def slices(num: int, most: int) -> list[slice]:
    """Ranges of at most so many that make up the whole."""
    return [slice(begin, begin + most) for begin in range(0, num, most)]


def combine(
    features: FeatureSet, points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, " num"]
) -> Values:
    """Return one combination of features with its derivatives at points, on the host.

    Args:
      features: any.
      points: in units.
      weights: of the features.
    """
    if isinstance(features, Joined):
        counts = [counted(part, points.shape[1]) for part in features.parts]
        shares = np.split(weights, np.cumsum(counts)[:-1])
        found = [
            combine(part, points, share) for part, share in zip(features.parts, shares, strict=True)
        ]
        return reduce(Values.__add__, found)
    if isinstance(features, Combined):
        return features.combined(points, weights)
    num, dimensions = points.shape
    u = features(points, Operator(np.ones(num))) @ weights
    gradient, hessian = np.empty((num, dimensions)), np.empty((num, dimensions, dimensions))
    for one in range(dimensions):
        along = np.zeros((num, dimensions))
        along[:, one] = 1
        gradient[:, one] = features(points, Operator(None, along)) @ weights
        for other in range(one + 1):
            second = np.zeros((num, dimensions, dimensions))
            second[:, one, other] = 1
            bend = features(points, Operator(None, None, second)) @ weights
            hessian[:, one, other] = hessian[:, other, one] = bend
    return Values(u, gradient, hessian)


def counted(features: FeatureSet, dimensions: int) -> int:
    """Return how many functions a set has.

    Args:
      features: the set; if it has a ``num``, this is known.
      dimensions: of its points.
    """
    if isinstance(features, Joined):
        return sum(counted(part, dimensions) for part in features.parts)
    known = getattr(features, "num", None)
    if known is not None:
        return known
    return features(np.zeros((1, dimensions)), Operator(np.ones(1))).shape[1]


def sine_features(num: int, scale: Float[np.ndarray, " d"], seed: int) -> RidgeFunctions:
    """Spread sines evenly over the frequencies of an ellipsoid, their phases over the circle.

    Evenly means by a Sobol sequence. Among independent draws some frequencies are nearly the same,
    and others are far from all. For a Helmholtz problem of wave number 20, 1,000 sines of the
    sequence have an error of 5e-10. Independent ones in a box have 5e-7.

    Args:
      num: features, 1 or more.
      scale: the largest frequency along each coordinate, in radians a unit.
      seed: of the sequence.

    Returns:
      The features.
    """
    dimensions = len(scale)
    drawn = qmc.Sobol(dimensions + 1, seed=seed).random_base2(int(num - 1).bit_length())[:num]
    if dimensions == 1:
        ball = 2 * drawn[:, :1] - 1
    else:
        angle = 2 * np.pi * drawn[:, 1]
        ball = np.stack([np.cos(angle), np.sin(angle)], 1)
        if dimensions == 3:
            height = 2 * drawn[:, 2:3] - 1
            ball = np.concatenate([np.sqrt(1 - height**2) * ball, height], 1)
        ball *= drawn[:, :1] ** (1 / dimensions)
    phase = np.pi * (2 * drawn[:, -1] - 1)
    return RidgeFunctions((scale * ball).T, phase, "sin")
