"""Sines in a part of the domain, where the residual of a solution is concentrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.cluster import hierarchy
from scipy.spatial import cKDTree

from metajax.core import register_dataclass
from metajax.physics.pde import namespace
from metajax.physics.solver.operators import Array, Operator, Values, times
from metajax.physics.solver.ridge_functions import RidgeFunctions, sine_features

MOST_POINTS, MOST_PATCHES = 400, 6
"""Points that carry the residual and patches that are made of them, at most."""
CARRIED, CONCENTRATED = 0.9, 0.3
"""Share of the sum of squares that few points carry, and the share of the domain that is few."""
PART = 0.05
"""Share of the sum of squares that one patch is made for."""
LINKED = 4.0
"""Distance between points of one patch, over the median one between neighbors."""
FEWEST = 4
"""Points of a patch at least."""
WIDE, LONG = 2.5, 0.35
"""Width of a patch over the spread of its points, and the spread from which it has no end."""
DENSITY, ALONG = 0.4, 4.0
"""Largest frequency of a patch's sines over the root of their number, in its own units, and that
along coordinates where it has no end."""
SPREAD = 1.6
"""Width of the points that are drawn around a patch, over that of its Gaussian."""
NARROW, EACH = 2.7, 160
"""Spread over the distance between as many points as there are sines at most, above which these
are enough without a patch; and sines at most of one that ends everywhere."""
EDGE, FINER, WIDEST = 0.05, 3.0, 2.0
"""How near the boundary patches are not wanted that do not go along it, how much finer than another
one a patch within it is, and its least width over the distance between points."""
Shape = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The center, axes and ends of a patch."""


@register_dataclass
@dataclass(frozen=True)
class Patch:
    """Sines times a Gaussian, in coordinates of their own.

    Attributes:
      center: of the Gaussian, in units.
      axes: from units to the patch's own, in which the Gaussian's width is 1, ``[own, d]``.
      ends: 1 for each own coordinate along which the Gaussian falls, 0 along the others.
      sines: of the own coordinates.
    """

    center: Float[Array, " d"]
    axes: Float[Array, "d d"]
    ends: Float[Array, " d"]
    sines: RidgeFunctions

    @property
    def shape(self) -> Shape:
        """Its center, axes and ends."""
        return self.center, self.axes, self.ends

    @property
    def num(self) -> int:
        """How many functions there are."""
        return self.sines.num

    @property
    def rows(self) -> int:
        """Points at which all functions fit a core's cache."""
        return self.sines.rows

    def own(self, points: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Return points in the patch's coordinates."""
        return (points - self.center[None]) @ self.axes.T

    def factors(self, points: Float[Array, "n d"]) -> tuple[RidgeFunctions, Array, Array, Array]:
        """Return the sines by points relative to the center, and the Gaussian.

        Its value, its slope and its second derivatives are ``height``, ``-height fall`` and
        ``height twice``.
        """
        own = self.own(points) * self.ends[None]
        fall = own @ self.axes
        form = (self.axes.T * self.ends[None]) @ self.axes
        twice = fall[:, :, None] * fall[:, None] - form[None]
        height = namespace(points).exp(-0.5 * (own**2).sum(1))
        sines = replace(self.sines, directions=self.axes.T @ self.sines.directions)
        return sines, height, fall, twice

    def __call__(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, "n num"]:
        sines, height, fall, twice = self.factors(points)
        value, slope, bend = operator
        # the operator on a product with the Gaussian is another one on the other factor
        if bend is not None:
            own_part = (bend * twice).sum((1, 2))
            value = own_part if value is None else value + own_part
        if slope is not None:
            value = (0.0 if value is None else value) - (slope * fall).sum(1)
        if bend is not None:
            both = bend + namespace(points).swapaxes(bend, 1, 2)
            mixed = -(both * fall[:, None]).sum(2)
            slope = mixed if slope is None else slope + mixed
        return sines(points - self.center[None], times(Operator(value, slope, bend), height))

    def combined(self, points: Float[Array, "n d"], weights: Float[Array, " num"]) -> Values:
        """Return one combination of the functions with its derivatives at points."""
        sines, height, fall, twice = self.factors(points)
        u, slope, bend = sines.combined(points - self.center[None], weights)
        mixed = fall[:, :, None] * slope[:, None]
        bend = bend - mixed - namespace(points).swapaxes(mixed, 1, 2) + u[:, None, None] * twice
        slope = slope - u[:, None] * fall
        return Values(height * u, height[:, None] * slope, height[:, None, None] * bend)

    def rescaled(self, factors: Float[np.ndarray, " d"]) -> Patch:
        """Return the patch with its sines' frequencies multiplied along each own coordinate."""
        sines = replace(self.sines, directions=factors[:, None] * self.sines.directions)
        return replace(self, sines=sines)

    def near(self, points: Float[np.ndarray, "n d"], reach: float) -> Float[np.ndarray, " n"]:
        """Return whether points are within so many widths of the Gaussian."""
        return np.sum((self.own(points) * self.ends) ** 2, 1) < reach**2


def patch_points(patches: Sequence[Patch], num: int, seed: int) -> list[Float[np.ndarray, "m d"]]:
    """Draw points in the box around Gaussians, as their squares are dense.

    Args:
      patches: around which.
      num: points of each, at most.
      seed: of the points.
    """
    rng = np.random.default_rng(seed)
    found = []
    for patch in patches:
        size = 6 * num, len(patch.center)
        across, along = SPREAD * rng.standard_normal(size), rng.uniform(-1.0, 1.0, size)
        # where it has no end the domain's box is cut through
        length = 2 * np.linalg.norm(np.linalg.inv(patch.axes), axis=0)
        own = np.where(patch.ends > 0, across, along * 4 / length)
        points = patch.center + own @ np.linalg.inv(patch.axes).T
        found.append(points[np.all(np.abs(points) <= 1, 1)][:num])
    return found


def densities(
    points: Float[np.ndarray, "n d"], uniform: int, patches: Sequence[Patch], drawn: Sequence[int]
) -> Float[np.ndarray, " n"]:
    """Return how dense points are, that are drawn evenly and around patches.

    Args:
      points: where.
      uniform: points that are drawn from the whole box.
      patches: around which others are drawn.
      drawn: how many around each.
    """
    dense = np.full(len(points), uniform / 2.0 ** points.shape[1])
    for patch, num in zip(patches, drawn, strict=True):
        own = patch.own(points) * patch.ends
        height = np.exp(-0.5 * np.sum(own**2, 1) / SPREAD**2)
        size = np.linalg.norm(patch.axes, axis=1) / SPREAD
        share = np.prod(np.where(patch.ends > 0, size / np.sqrt(2 * np.pi), 0.5))
        dense += num * share * height
    return dense


def patches_at(
    points: Float[np.ndarray, "n d"],
    off: Float[np.ndarray, " n"],
    dense: Float[np.ndarray, " n"],
    known: Sequence[Patch],
    num: int,
    seed: int,
    narrow: float = np.inf,
) -> tuple[Patch, ...]:
    """Make patches where a residual is concentrated.

    Args:
      points: in units.
      off: the residual there.
      dense: how many points there are for a unit of volume.
      known: patches that are kept, with more sines.
      num: sines in all.
      seed: of the sines.
      narrow: largest spread of what a patch is made for.

    Returns:
      The patches; the known ones alone where the residual is spread over the domain.
    """
    energy = off**2 / dense
    order = np.argsort(-energy)
    share = np.cumsum(energy[order]) / max(np.sum(energy), np.finfo(float).tiny)
    many = int(np.searchsorted(share, CARRIED)) + 1
    few = order[:many]
    found = [patch.shape for patch in known]
    if np.sum(1 / dense[few]) < CONCENTRATED * np.sum(1 / dense) and many >= FEWEST:
        few = few[:MOST_POINTS]
        where = points[few]
        apart = cKDTree(where).query(where, 2)[0][:, 1]
        linked = LINKED * float(np.median(apart))
        groups = hierarchy.fclusterdata(where, linked, "distance", method="single")
        sizes, counts = np.bincount(groups, energy[few]), np.bincount(groups)
        for group in np.argsort(-sizes):
            here = few[groups == group]
            if counts[group] < FEWEST or len(found) == MOST_PATCHES:
                continue
            if sizes[group] < PART * np.sum(energy):
                break
            finest = float(np.median(dense[here])) ** (-1 / points.shape[1])
            new, spread = shape_of(points[here], energy[here], finest)
            if spread > narrow:
                continue
            outside = new[2].all() and np.max(np.abs(new[0])) > 1 - EDGE
            if not outside and not any(covered(new, old) for old in found):
                found.append(new)
    return patches_of(found, num, seed)


def patches_of(found: Sequence[Shape], num: int, seed: int) -> tuple[Patch, ...]:
    """Make patches of some shapes.

    Args:
      found: the shapes.
      num: sines in all.
      seed: of the sines.
    """
    if not found:
        return ()
    each = num // len(found)
    nums = [min(each, EACH) if ends.all() else each for *_, ends in found]
    sines = [
        sine_features(size, scales(size, ends), seed + at)
        for at, (size, (*_, ends)) in enumerate(zip(nums, found, strict=True))
    ]
    return tuple(Patch(*shape, part) for shape, part in zip(found, sines, strict=True))


def scales(num: int, ends: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """Return the largest frequencies of a patch's sines at first.

    Args:
      num: sines.
      ends: as :class:`Patch` has them; along the other coordinates little is taken to happen.
    """
    dimensions, free = len(ends), int(np.sum(ends == 0))
    volume = (DENSITY * num ** (1 / dimensions)) ** dimensions
    if free == dimensions or not free:
        return np.full(dimensions, volume ** (1 / dimensions))
    return np.where(ends > 0, (volume / ALONG**free) ** (1 / (dimensions - free)), ALONG)


def covered(new: Shape, old: Shape) -> bool:
    """Whether a patch lies in another one that is not much larger."""
    center, axes, ends = old
    away = (new[0] - center) @ axes.T * ends
    finer = np.linalg.norm(new[1], axis=1).max() > FINER * np.linalg.norm(axes, axis=1).max()
    return bool(np.sum(away**2) < 16 and not finer)


def shape_of(
    points: Float[np.ndarray, "n d"], energy: Float[np.ndarray, " n"], finest: float
) -> tuple[Shape, float]:
    """Return center, axes and ends of a patch around points, and their least spread.

    Args:
      points: in units.
      energy: what each of them weighs.
      finest: distance below which they say nothing.
    """
    share = energy / np.sum(energy)
    center = share @ points
    away = points - center
    spread, axes = np.linalg.eigh((away * share[:, None]).T @ away)
    length = np.sqrt(np.maximum(spread, 0))
    ends = (length < LONG).astype(float)
    width = np.where(ends > 0, np.maximum(WIDE * length, WIDEST * finest), 1.0)
    return (center, axes.T / width[:, None], ends), float(length.min())
