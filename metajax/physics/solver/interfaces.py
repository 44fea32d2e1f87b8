"""Curves inside a domain at which coefficients or the source jump, and the parts between them.

u is smooth on both sides of such an interface, and not across it. So each part of the domain has
features of its own. Two equations join them: u and its flux are continuous. The flux is
``normal . A . gradient of u``, where A has the coefficients of the second derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from metajax.core import float64_on_cpu
from metajax.physics.pde import Boundary, Shape, on_host
from metajax.physics.solver.collocation import (
    BOUNDARY_WEIGHT,
    Sampled,
    Units,
    anywhere,
    nonlinear_in_units,
    operator_at,
    sample_problem,
)
from metajax.physics.solver.discontinuities import find_jumps, places_of_jumps
from metajax.physics.solver.operators import At, Block, Operator, Values
from metajax.physics.solver.points import (
    Box,
    contains,
    covers,
    evenly,
    faces_of,
    inward,
    picked,
    sample_faces,
)
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import (
    FeatureSet,
    Joined,
    One,
    combine,
    counted,
    sine_features,
)
from metajax.physics.solver.values import evaluate

BESIDE, ROUNDED = 1e-12, 16 * np.finfo(float).eps
"""Distance from an interface at which its two sides are taken, in units, and the least one relative
to coordinates."""
JUMP = 1e-6
"""Least jump of a coefficient or the source, relative to its largest size."""
LOOKED = 2048, 256
"""Points inside and on each interface from which the parts are found."""
FEWEST = 1.0
"""Least share of the points inside that a part has, of what it would be if all had equally many."""
SLICE = 0.1036
"""Where slices of three coordinates are, in units: not where anything is likely to end."""
HIDDEN = 4
"""Points that are drawn for each one, as parts of a shape's boundary may be outside the domain."""


@dataclass(frozen=True)
class Parts:
    """The parts into which interfaces cut a domain.

    Attributes:
      shapes: whose boundaries are the interfaces, with the names of these.
      box: around the domain.
      codes: for each part, which of the shapes its points are in, as a binary number, ascending.
      boxes: around each part, in units.
    """

    shapes: tuple[tuple[str, Shape], ...]
    box: Box
    codes: tuple[int, ...]
    boxes: tuple[Box, ...]

    def of(self, points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        """Return the index of the part that each point is in.

        Args:
          points: in units.
        """
        codes = codes_of(self.shapes, self.box.places(points))
        return np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)

    def domain_of(self, domain: Shape, part: int) -> Shape:
        """Return a part as a shape; its interfaces are the pieces that follow the domain's.

        Args:
          domain: the whole.
          part: the index of the part.
        """
        for at, (_, shape) in enumerate(self.shapes):
            domain = domain & shape if self.codes[part] >> at & 1 else domain - shape
        return domain


def codes_of(
    shapes: Sequence[tuple[str, Shape]], points: Float[np.ndarray, "n d"]
) -> Int[np.ndarray, " n"]:
    """Which of the shapes points are in, as a binary number."""
    codes = np.zeros(len(points), np.int64)
    for at, (_, shape) in enumerate(shapes):
        with float64_on_cpu():  # for shapes of a person's own, which may compute with JAX
            codes |= np.asarray(covers(shape, points)).astype(np.int64) << at
    return codes


@dataclass(frozen=True)
class Within:
    """Features in one part of a domain, 0 in the others.

    Attributes:
      features: of the part, of points in units of ``box``.
      parts: of the domain.
      part: the index of this one.
      box: of the features' points.
    """

    features: FeatureSet
    parts: Parts
    part: int
    box: Box

    def __call__(self, points: Float[np.ndarray, "n d"], operator: Operator) -> np.ndarray:
        here = self.parts.of(points) == self.part
        found = np.zeros((len(points), counted(self.features, points.shape[1])))
        if here.any():
            there = operator.at(here).scaled(self.box.half)
            found[here] = self.features(self.box.units(points[here]), there)
        return found

    def combined(self, points: Float[np.ndarray, "n d"], weights: np.ndarray) -> Values:
        """Return one combination of the features with its derivatives at points."""
        here = self.parts.of(points) == self.part
        num, dimensions = points.shape
        found = Values(
            np.zeros(num), np.zeros((num, dimensions)), np.zeros((num, dimensions, dimensions))
        )
        if here.any():
            half = self.box.half
            u, gradient, hessian = combine(self.features, self.box.units(points[here]), weights)
            found.u[here] = u
            found.gradient[here] = gradient / half
            found.hessian[here] = hessian / (half[:, None] * half)
        return found


def unit_box(dimensions: int) -> Box:
    """Return the box from -1 to 1, in which units change nothing."""
    return Box(np.zeros(dimensions), np.ones(dimensions))


@dataclass(frozen=True)
class PartSines:
    """Makes sines for each part of a domain, with a constant.

    Attributes:
      parts: of the domain.
    """

    parts: Parts

    def __call__(self, num: int, scale: Float[np.ndarray, " d"], seed: int) -> FeatureSet:
        """Return sines of each part's own box, equally many for each part.

        Args:
          num: sines in all.
          scale: the largest frequency along each coordinate that so many would have in one part.
          seed: of the sines.
        """
        many, dimensions = len(self.parts.codes), len(scale)
        each = max(num // many, 1)
        scale = scale * (each / num) ** (1 / dimensions)
        made = [Joined((One(), sine_features(each, scale, seed + at))) for at in range(many)]
        pairs = zip(made, self.parts.boxes, strict=True)
        return Joined(
            tuple(Within(one, self.parts, at, box) for at, (one, box) in enumerate(pairs))
        )


def parts_of(problem: PDEProblem, units: Units, parameters: Mapping[str, Any]) -> Parts | None:
    """Find the parts of a domain in which coefficients and source do not jump.

    Interfaces are the boundaries of regions. In the plane, straight lines and circles are also
    found where no region names them.

    Args:
      problem: whose regions have known numbers.
      units: of the problem.
      parameters: of the problem, known.

    Returns:
      The parts; None where nothing jumps.
    """
    box = units.box
    jumping: list[tuple[str, Shape]] = []
    for name, region in problem.regions.items():
        shape = on_host(region)
        at = sample_interface(problem, box, shape, LOOKED[1], 0)
        if np.any(jumps_at(problem, at, box, parameters, quantities)):
            jumping.append((name, shape))
    if len(box.half) == 2:
        jumping += unnamed(problem, box, parameters, jumping, quantities)[0]
    if not jumping:
        return None
    shapes = tuple(jumping)
    sides = [sample_problem(problem, 0, LOOKED[0], 1).inside]
    for _, shape in shapes:
        at = sample_interface(problem, box, shape, LOOKED[1], 0)
        sides += both_sides(at, box)
    points = np.concatenate(sides)
    codes = codes_of(shapes, points)
    found = np.unique(codes)
    where = box.units(points)
    boxes = []
    for code in found:
        lower, upper = where[codes == code].min(0), where[codes == code].max(0)
        boxes.append(Box((lower + upper) / 2, np.maximum((upper - lower) / 2, BESIDE)))
    return Parts(shapes, box, tuple(int(code) for code in found), tuple(boxes))


def unnamed(
    problem: PDEProblem,
    box: Box,
    parameters: Mapping[str, Any],
    known: Sequence[tuple[str, Shape]],
    of: Callable[..., Float[np.ndarray, "n q"]],
) -> tuple[list[tuple[str, Shape]], Float[np.ndarray, "m d"]]:
    """Find interfaces that no region names.

    Args:
      problem: any.
      box: around its domain.
      parameters: of the problem, known.
      known: interfaces that are known.
      of: what may jump: ``of(problem, points, parameters)``.

    Returns:
      Lines and circles; and places in units where something jumps along another curve, or of three
      coordinates anywhere in three slices.
    """
    domain = on_host(problem.domain)

    def seen(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n q"]:
        return of(problem, box.places(points), parameters)

    def part(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        where = box.places(points)
        return np.where(contains(domain, where), codes_of(known, where), -1)

    if len(box.half) == 2:
        return find_jumps(seen, part, box)

    def in_slice(axis: int) -> Float[np.ndarray, "m 3"]:
        def lifted(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
            return np.insert(points, axis, SLICE, 1)

        found = places_of_jumps(lambda at: seen(lifted(at)), lambda at: part(lifted(at)))
        return lifted(found)

    return [], np.concatenate([in_slice(axis) for axis in range(len(box.half))])


def about_unnamed(problem: PDEProblem, box: Box, parameters: Mapping[str, Any]) -> str | None:
    """Say where second derivatives' coefficients jump, though no interface is known there.

    Args:
      problem: any.
      box: around its domain.
      parameters: of the problem, known.

    Returns:
      The text; None where they do not.
    """
    regions = [(name, on_host(shape)) for name, shape in problem.regions.items()]
    _, places = unnamed(problem, box, parameters, regions, second_coefficients)
    if not len(places):
        return None
    at = ", ".join(f"{one:.4g}" for one in box.places(places[0]))
    lacking = "along no line or circle and in no region" if len(box.half) == 2 else "in no region"
    return (
        f"coefficients of second derivatives jump near ({at}), {lacking}: "
        "the flux of u need not be continuous there; name the shape under regions"
    )


def slope_jumps(problem: PDEProblem, units: Units, parameters: Mapping[str, Any]) -> bool:
    """Return whether the slope of u jumps at interfaces, as coefficients of second derivatives do.

    Args:
      problem: any.
      units: of the problem.
      parameters: of the problem, known.
    """
    parts = parts_of(problem, units, parameters)
    for _, shape in () if parts is None else parts.shapes:
        at = sample_interface(problem, units.box, shape, LOOKED[1], 0)
        if np.any(jumps_at(problem, at, units.box, parameters, second_coefficients)):
            return True
    return False


def second_coefficients(
    problem: PDEProblem, points: Float[np.ndarray, "n d"], parameters: Mapping[str, Any]
) -> Float[np.ndarray, "n q"]:
    """The coefficients of the second derivatives at points; 0 where they are not finite."""
    second = operator_at(problem, points, parameters, finite=False).hessian
    return np.zeros((len(points), 1)) if second is None else finite_rows([second])


def finite_rows(parts: Sequence[np.ndarray]) -> Float[np.ndarray, "n q"]:
    """Values by point, 0 for those that are not finite."""
    flat = np.concatenate([part.reshape(len(part), math.prod(part.shape[1:])) for part in parts], 1)
    return np.where(np.isfinite(flat), flat, 0.0)


def sample_interface(problem: PDEProblem, box: Box, shape: Shape, num: int, seed: int) -> Boundary:
    """Draw points of a shape's boundary inside a domain, with normals out of the shape.

    Args:
      problem: whose domain it is.
      box: around the domain.
      shape: on the host.
      num: points in all, about.
      seed: of the points.
    """
    domain = on_host(problem.domain)

    def wanted(at: Boundary) -> Bool[np.ndarray, " n"]:
        return np.all([contains(domain, side) for side in both_sides(at, box)], 0)

    rng = np.random.default_rng(seed)
    found = sample_faces(shape, box, faces_of(shape), HIDDEN * num, rng, wanted)
    return picked(found, evenly(np.arange(len(found.points)), num))


def both_sides(at: Boundary, box: Box) -> list[Float[np.ndarray, "n d"]]:
    """Points at an interface, on its inside and on its outside."""
    apart = max(BESIDE, ROUNDED * float(np.max(np.abs(box.centre) / box.half)))
    step = apart * inward(box, at.normals)
    return [at.points + step, at.points - step]


def jumps_at(
    problem: PDEProblem,
    at: Boundary,
    box: Box,
    parameters: Mapping[str, Any],
    of: Callable[..., Float[np.ndarray, "n q"]],
) -> Bool[np.ndarray, " n"]:
    """Whether something jumps at points of an interface: ``of(problem, points, parameters)``."""
    if not len(at.points):
        return np.zeros(0, bool)
    inner, outer = (of(problem, side, parameters) for side in both_sides(at, box))
    size = np.maximum(np.max(np.abs(inner), 0), np.max(np.abs(outer), 0))
    return np.any(np.abs(inner - outer) > JUMP * size, 1)


def quantities(
    problem: PDEProblem, points: Float[np.ndarray, "n d"], parameters: Mapping[str, Any]
) -> Float[np.ndarray, "n q"]:
    """Coefficients and source at points, and the nonlinear part of a function; 0 for NaN."""
    num = len(points)
    operator = operator_at(problem, points, parameters, finite=False)
    source = evaluate("source", problem.source, anywhere(points), problem, parameters, finite=False)
    found = [*(part for part in operator if part is not None), source]
    if problem.nonlinear is not None:
        plain = Units(unit_box(points.shape[1]), 1.0, 1.0)
        with np.errstate(all="ignore"):
            one = nonlinear_in_units(problem, plain, parameters)(
                points, np.ones(num), np.ones(points.shape)
            )
        found.append(one)
    return finite_rows(found)


def fill_parts(problem: PDEProblem, sampled: Sampled, parts: Parts, seed: int) -> Sampled:
    """Add points to parts that have few.

    Args:
      problem: whose points they are.
      sampled: points of it.
      parts: of its domain.
      seed: of the points.
    """
    box, inside = parts.box, sampled.inside
    domain = on_host(problem.domain)
    least = int(FEWEST * len(inside) / len(parts.codes))
    counts = np.bincount(parts.of(box.units(inside)), minlength=len(parts.codes))
    added = [inside]
    for part in np.flatnonzero(counts < least):
        own, lacking = parts.boxes[part], int(least - counts[part])
        rng = np.random.default_rng((seed, int(part)))
        for _ in range(8):
            tried = own.places(rng.uniform(-1, 1, (4 * least, len(box.half))))
            tried = tried[parts.of(tried) == part]
            tried = box.places(tried)
            tried = tried[contains(domain, tried)][:lacking]
            added.append(tried)
            lacking -= len(tried)
            if lacking <= 0:
                break
    return sampled._replace(inside=np.concatenate(added))


def interface_blocks(
    problem: PDEProblem,
    parts: Parts,
    units: Units,
    parameters: Mapping[str, Any],
    seed: int,
    num: int,
) -> list[Block]:
    """Return the equations at interfaces: u and its flux are the same on both sides.

    Args:
      problem: any.
      parts: of its domain.
      units: of the equations.
      parameters: of the problem, known.
      seed: of the points.
      num: points of each interface, about.
    """
    box, blocks = units.box, []
    for number, (name, shape) in enumerate(parts.shapes):
        at = sample_interface(problem, box, shape, num, seed + number)
        if not len(at.points):
            continue
        sides = both_sides(at, box)
        inner, outer = (box.units(side) for side in sides)
        one, none = np.ones(len(inner)), np.zeros(len(inner))
        same = (At(inner, Operator(one)), At(outer, Operator(-one)))
        blocks.append(Block(f"continuity at {name}", same, none, BOUNDARY_WEIGHT))
        fluxes: list[np.ndarray] = []
        for side, sign in zip(sides, (1, -1), strict=True):
            second = operator_at(problem, side, parameters, finite=False).hessian
            if second is None:
                break
            second = (second + np.swapaxes(second, 1, 2)) / 2
            across = sign * np.einsum("nij,nj->ni", second, at.normals)
            fluxes.append(across / box.half)
        if not fluxes:
            continue
        size: np.ndarray = np.max([np.linalg.norm(flux, axis=1) for flux in fluxes], 0)
        there = size > 0  # nothing flows along time
        if there.any():
            scaled = [
                At(where[there], Operator(None, flux[there] / size[there, None]))
                for where, flux in zip((inner, outer), fluxes, strict=True)
            ]
            target = np.zeros(int(there.sum()))
            blocks.append(Block(f"flux through {name}", tuple(scaled), target, BOUNDARY_WEIGHT))
    return blocks
