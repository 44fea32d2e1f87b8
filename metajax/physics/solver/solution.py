"""Solutions as functions of points in the person's units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.collocation import Units
from metajax.physics.solver.lines import LATER
from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.ridge_functions import FeatureSet, combine

CHUNK = 4096
"""Points at a time at which a solution is computed."""


class Solution(NamedTuple):
    """A solution as a function, in the person's units.

    Attributes:
      features: that are combined, of points in units.
      weights: of the features.
      units: what they are.
    """

    features: FeatureSet
    weights: Float[np.ndarray, " num"]
    units: Units

    def at(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return u at points."""
        box, unit = self.units.box, self.units.u
        where = box.units(np.asarray(points, np.float64))
        parts = [
            self.features(part, Operator(np.ones(len(part)))) @ self.weights
            for part in chunks(where)
        ]
        return unit * np.concatenate(parts)

    def gradient(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return the first derivatives of u at points."""
        return self.values(points).gradient

    def values(self, points: Float[np.ndarray, "n d"]) -> Values:
        """Return u with its first and second derivatives at points."""
        box, unit = self.units.box, self.units.u
        where = box.units(np.asarray(points, np.float64))
        found = [combine(self.features, part, self.weights) for part in chunks(where)]
        u, gradient, hessian = (np.concatenate(leaves) for leaves in zip(*found, strict=True))
        return Values(
            unit * u,
            unit * gradient / box.half[None],
            unit * hessian / (box.half[:, None] * box.half[None])[None],
        )


def chunks(points: Float[np.ndarray, "n d"]) -> list[Float[np.ndarray, "m d"]]:
    """Points, some at a time."""
    return np.array_split(points, max(-(-len(points) // CHUNK), 1))


class WindowedSolution(NamedTuple):
    """A solution as a function, made of those of windows of time that follow each other.

    Attributes:
      windows: their solutions.
      axis: the coordinate that is time.
      ends: where each but the last window ends.
      last: where the last one ends; the solution is NaN after that.
      units: of the whole.
    """

    windows: tuple[Solution, ...]
    axis: int
    ends: Float[np.ndarray, " ends"]
    last: float
    units: Units

    def at(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return u at points."""
        found = np.full(len(points), np.nan)
        for solution, here in self._parts(points):
            found[here] = solution.at(points[here])
        return found

    def gradient(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return the first derivatives of u at points."""
        return self.values(points).gradient

    def values(self, points: Float[np.ndarray, "n d"]) -> Values:
        """Return u with its first and second derivatives at points."""
        num, dimensions = np.shape(points)
        found = Values(
            np.full(num, np.nan),
            np.full((num, dimensions), np.nan),
            np.full((num, dimensions, dimensions), np.nan),
        )
        for solution, here in self._parts(points):
            for leaf, part in zip(found, solution.values(points[here]), strict=True):
                leaf[here] = part
        return found

    def _parts(self, points: np.ndarray) -> list[tuple[Solution, np.ndarray]]:
        """Each window's solution with the indices of its points, where it has any."""
        times = np.asarray(points)[:, self.axis]
        window = np.searchsorted(self.ends, times)
        window[times > self.last + LATER * self.units.box.half[self.axis]] = -1
        indices = [np.flatnonzero(window == number) for number in range(len(self.windows))]
        pairs = zip(self.windows, indices, strict=True)
        return [(solution, here) for solution, here in pairs if len(here)]
