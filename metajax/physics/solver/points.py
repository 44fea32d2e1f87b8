"""Points of a domain and of its boundary, on the host in float64: nothing is compiled.

A boundary is a list of faces, each an image of the unit interval (the unit square in three
dimensions). All sizes are measured in units of the box around the domain, so that it does not
matter how large the domain is, or in which units it is described.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.stats import qmc

from metajax.core import float64_on_cpu
from metajax.physics.pde import (
    Boundary,
    ChosenShape,
    Combination,
    Curves,
    Shape,
    namespace,
)
from metajax.physics.solver.operators import Array

LEAST = 0.25
"""Share of boundary points that all faces divide equally, so that small holes have some too."""
NUDGE = 1e-7
"""Distance to both sides of a face at which the inside is tested, in units."""
SHALLOWEST = 1e-6
"""How near to the boundary points of narrow parts may be, in units."""
MOST_TRIED = 2**17
"""Most points of the box that are tested for being inside."""
ROUNDING = 4
"""By how many units of rounding, of the largest coordinate, a point may miss a region's edge."""
FLAT = 1e-9
"""How far from an end of the box a point may be and still lie on it, in units."""


class Box(NamedTuple):
    """The box around a domain, which is from -1 to 1 in units.

    Attributes:
      centre: of it.
      half: half its extent, along each coordinate.
    """

    centre: Float[np.ndarray, " d"]
    half: Float[np.ndarray, " d"]

    def units(self, points: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Return points in units."""
        centre, half = self.aligned(points)
        return (points - centre) / half

    def places(self, units: Float[Array, "*n d"]) -> Float[Array, "*n d"]:
        """Return where points in units are."""
        centre, half = self.aligned(units)
        return centre + half * units

    def aligned(self, points: Float[Array, "*n d"]) -> tuple[Array, Array]:
        """The center and half the extent, of as many axes as points of any number have."""
        axes = (1,) * (np.ndim(points) - 1)
        return self.centre.reshape(*axes, -1), self.half.reshape(*axes, -1)


class Face(NamedTuple):
    """A part of a boundary, as the image of the unit interval or square.

    Attributes:
      place: ``place(unit [n, d - 1]) -> points [n, d], normals [n, d]``; the normals have length 1.
      piece: the index of the piece it belongs to.
    """

    place: Callable[..., tuple[Any, Any]]
    piece: int


def box_of(domain: Shape) -> Box:
    """Return the box around a domain.

    Args:
      domain: on the host.
    """
    lower, upper = np.asarray(domain.bounds, np.float64)
    return Box((lower + upper) / 2, (upper - lower) / 2)


def unit_box(dimensions: int) -> Box:
    """Return the box from -1 to 1, in which units change nothing."""
    return Box(np.zeros(dimensions), np.ones(dimensions))


def contains(domain: Shape, points: Float[Array, "n d"]) -> Bool[np.ndarray, " n"]:
    """Return whether points are inside a domain.

    Args:
      domain: on the host.
      points: where.
    """
    with float64_on_cpu():  # for shapes of a person's own, which may compute with JAX
        return np.asarray(domain.contains(points))


def covers(shape: Shape, points: Float[Array, "n d"]) -> Bool[Array, " n"]:
    """Return whether points are inside a shape or on its boundary, but for rounding.

    A region usually ends where the domain does, and points of that edge are of the region.

    Args:
      shape: on the host where the points are NumPy's.
      points: where.
    """
    xp = namespace(points, shape)
    rounding = ROUNDING * xp.finfo(points.dtype).eps * xp.max(xp.abs(points), initial=0.0)
    return shape.distance(points) <= rounding


def written(point: Float[np.ndarray, " d"]) -> str:
    """Return a point as a person writes it."""
    return "(" + ", ".join(f"{one:.4g}" for one in point) + ")"


def distance(domain: Shape, points: Float[Array, "n d"]) -> Float[np.ndarray, " n"]:
    """Return the signed distance of points to the boundary of a domain, negative inside.

    Args:
      domain: on the host.
      points: where.
    """
    with float64_on_cpu():
        return np.asarray(domain.distance(points))


def faces_of(domain: Shape) -> list[Face]:
    """Return the faces that contain the boundary of a domain.

    Args:
      domain: in the plane, or a solid with faces of its own.
    """
    if isinstance(domain, Combination):
        flip = domain.operation == "difference"
        other = [moved(face, len(domain.first.pieces), flip) for face in faces_of(domain.second)]
        return faces_of(domain.first) + other
    if isinstance(domain, ChosenShape):
        before = sum(len(option.pieces) for option in domain.options[: int(domain.index)])
        return [moved(face, before) for face in faces_of(domain.options[int(domain.index)])]
    if hasattr(domain, "faces"):
        return domain.faces
    curves = domain.curves
    number = range(len(curves.length))
    single = [Curves(*(np.asarray(leaf)[i] for leaf in curves)) for i in number]
    # a polygon without an area has no outside
    real = [curve for curve in single if curve.length > 0 and curve.sign != 0]
    return [Face(Along(curve), int(curve.piece)) for curve in real]


@dataclass(frozen=True)
class Along:
    """A curve of the plane as a function of the unit interval."""

    curve: Curves

    def __call__(self, unit: Float[np.ndarray, "n 1"]) -> tuple[Any, Any]:
        start, span, radius, _, sign, _, axes = self.curve
        cos, sin = np.cos(2 * np.pi * unit), np.sin(2 * np.pi * unit)
        if radius > 0:
            points = start + radius * (cos * axes[0] + sin * axes[1])
            tangent = cos * axes[1] - sin * axes[0]
        else:
            points, tangent = start + unit * span, np.broadcast_to(span, (len(unit), 2))
        right = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
        return points, sign * right / np.hypot(*tangent.T)[:, None]


def moved(face: Face, pieces: int, flip: bool = False) -> Face:
    """A face whose piece has another index, and perhaps its outside on the other side."""

    def flipped(unit: Any) -> tuple[Any, Any]:
        points, normals = face.place(unit)
        return points, -normals

    return Face(flipped if flip else face.place, face.piece + pieces)


def end_of(box: Box, axis: int, upper: bool, piece: int) -> Face:
    """The side of the box at one end of a coordinate."""
    others = [k for k in range(len(box.half)) if k != axis]

    def place(unit: Float[np.ndarray, "n s"]) -> tuple[Any, Any]:
        units = np.empty((len(unit), len(box.half)))
        units[:, others], units[:, axis] = 2 * unit - 1, 1.0 if upper else -1.0
        normals = np.zeros_like(units)
        normals[:, axis] = 1.0 if upper else -1.0
        return box.places(units), normals

    return Face(place, piece)


def extent(face: Face, box: Box) -> float:
    """The length or area of a face, in units."""
    line = np.linspace(0, 1, 33)
    points, _ = face.place(line[:, None]) if len(box.half) == 2 else (None, None)
    if points is not None:
        return float(np.linalg.norm(np.diff(box.units(points), axis=0), axis=1).sum())
    first, second = np.meshgrid(line, line, indexing="ij")
    points, _ = face.place(np.stack([first.ravel(), second.ravel()], 1))
    grid = box.units(points).reshape(33, 33, 3)
    across, along = np.diff(grid[:, :-1], axis=0), np.diff(grid[:-1], axis=1)
    return float(np.linalg.norm(np.cross(across, along), axis=-1).sum())


def ends_here(
    domain: Shape, box: Box, points: Any, normals: Any, nudge: Any = NUDGE
) -> Bool[np.ndarray, " n"]:
    """Return whether a domain ends at points of faces: it is on one side, and not on the other.

    Args:
      domain: on the host.
      box: around it.
      points: of faces.
      normals: out of the domain.
      nudge: distance to both sides at which the inside is tested, in units.
    """
    step = nudge * inward(box, normals)
    inner, outer = np.split(contains(domain, np.concatenate([points + step, points - step])), 2)
    return inner & ~outer


def inward(box: Box, normals: Any) -> Any:
    """Steps of length 1 in units that lead from the boundary into the domain."""
    across = -normals * box.half
    return box.half * across / np.linalg.norm(across, axis=-1, keepdims=True)


def strata(rng: np.random.Generator, num: int, dimensions: int) -> Float[np.ndarray, "num s"]:
    """Points all over the unit interval or square, nearly equally far apart."""
    if dimensions == 1:
        return ((np.arange(num) + rng.random(num)) / num)[:, None]
    return sobol(rng, num, dimensions)


def sobol(rng: np.random.Generator, num: int, dimensions: int) -> Float[np.ndarray, "num d"]:
    """Points of the unit box by Sobol's sequence, scrambled."""
    power = max(int(np.ceil(np.log2(max(num, 1)))), 0)
    return qmc.Sobol(dimensions, seed=rng).random_base2(power)[:num]


def sample_faces(
    domain: Shape,
    box: Box,
    faces: Sequence[Face],
    num: int,
    rng: np.random.Generator,
    wanted: Callable[[Boundary], Array],
    least: float = LEAST,
) -> Boundary:
    """Draw points of a boundary, on every face equally far apart.

    Args:
      domain: on the host.
      box: around it.
      faces: to draw from; other shapes may hide parts of them.
      num: points in all, about.
      rng: what is drawn from.
      wanted: which points are to be returned.
      least: share of the points that all faces divide equally.

    Returns:
      The points, with normals and pieces.
    """
    dimensions = len(box.half)
    if not faces:
        none: Array = np.zeros((0, dimensions))
        return Boundary(none, none, none[:, 0].astype(np.int64))
    extents = np.array([extent(face, box) for face in faces])
    # twice as many as each may have, as parts may be hidden, and some where it is small
    drawn = [
        strata(rng, int(n), dimensions - 1)
        for n in np.ceil(2 * num * shares(extents, least)).astype(int) + 16
    ]
    at = [face.place(unit) for face, unit in zip(faces, drawn, strict=True)]
    points: Array = np.concatenate([one for one, _ in at])
    normals: Array = np.concatenate([one for _, one in at])
    owner = np.repeat(np.arange(len(faces)), [len(unit) for unit in drawn])
    piece: Array = np.array([face.piece for face in faces])[owner]
    found = Boundary(points, normals, piece)
    # the usual nudge would step across shapes that are smaller than it
    nudge = np.clip(extents.min() / 50, NUDGE / 100, NUDGE)
    shown = ends_here(domain, box, points, normals, nudge) & wanted(found)
    part = np.bincount(owner, shown, len(faces)) / np.bincount(owner, minlength=len(faces))
    share = shares(extents * part, least)
    index = [
        evenly(np.flatnonzero(shown & (owner == number)), int(np.ceil(num * share[number])))
        for number in np.flatnonzero(share)
    ]
    chosen = np.concatenate([np.zeros(0, np.int64), *index])
    return picked(found, chosen)


def picked(at: Boundary, index: Any) -> Boundary:
    """Some of the points of a boundary."""
    return Boundary(at.points[index], at.normals[index], at.piece[index])


def shares(extents: Float[np.ndarray, " n"], least: float) -> Float[np.ndarray, " n"]:
    """What share of all points each of faces has; 0 where it has no extent."""
    total = extents.sum()
    if total == 0:
        return extents
    floor = total * least / np.count_nonzero(extents)
    share = np.where(extents > 0, np.maximum(extents, floor), 0)
    return share / share.sum()


def evenly(index: Int[np.ndarray, " m"], num: int) -> Int[np.ndarray, " n"]:
    """At most ``num`` of the indices, evenly spaced."""
    if len(index) <= num:
        return index
    return index[((np.arange(num) + 0.5) * len(index) / num).astype(int)]


def sample_inside(
    domain: Shape, box: Box, faces: Sequence[Face], num: int, rng: np.random.Generator
) -> Float[np.ndarray, "num d"]:
    """Draw points of the inside by a sequence of low discrepancy, also where the inside is narrow.

    Where too few points of the box are inside, the others are points at random depths below the
    boundary.

    Args:
      domain: on the host.
      box: around it.
      faces: its.
      num: how many.
      rng: what is drawn from.

    Returns:
      The points, fewer only where the domain is empty.
    """
    dimensions = len(box.half)
    tried = num
    while True:
        points = box.places(2 * sobol(rng, tried, dimensions) - 1)
        inside = points[contains(domain, points)]
        if len(inside) >= num:
            return inside[:num]
        if tried >= max(MOST_TRIED, num):
            break
        enough = 1.1 * num * tried / max(len(inside), 1)
        tried = min(max(2 * tried, int(enough) + 1), max(MOST_TRIED, num))
    near = [inside]
    lacking = num - len(inside)
    for _ in range(8):
        edge = sample_faces(domain, box, faces, 2 * num, rng, lambda at: at.piece >= 0)
        depth = SHALLOWEST * (2 / SHALLOWEST) ** rng.random((len(edge.points), 1))
        tried_near = edge.points + depth * inward(box, edge.normals)
        found = tried_near[contains(domain, tried_near)]
        near.append(found[evenly(np.arange(len(found)), lacking)])
        lacking -= len(near[-1])
        if lacking <= 0 or not len(found):
            break
    return np.concatenate(near)
