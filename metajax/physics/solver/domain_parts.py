"""Parts of a domain in which coefficients and source do not jump, with features of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from metajax.physics.pde import Shape, on_host
from metajax.physics.solver.coefficient_jumps import (
    BESIDE,
    both_sides,
    codes_of,
    jumps_at,
    quantities,
    sample_interface,
    second_coefficients,
    unnamed,
)
from metajax.physics.solver.collocation import Sampled, Units, sample_problem
from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.points import Box, contains
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import (
    FeatureSet,
    Joined,
    One,
    combine,
    counted,
    sine_features,
)

LOOKED = 2048, 256
"""Points inside and on each interface from which the parts are found."""
FEWEST = 1.0
"""Least share of the points inside that a part has, of what it would be if all had equally many."""


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
