"""A function of space and time: features of space, whose weights are polynomials in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.ridge_functions import FeatureSet

LATER = 1e-9
"""How far after the end a time may be and count as the end, over half of all time."""


@dataclass(frozen=True)
class Lines:
    """One feature: a function of space and time, the last coordinate. After its end it is NaN.

    Attributes:
      features: of space, in units.
      times: at which the polynomials begin, and the last one ends, ``[steps + 1]``.
      weights: of the features, of powers of the part of a step that has passed.
    """

    features: FeatureSet
    times: Float[np.ndarray, " knots"]
    weights: Float[np.ndarray, "steps 4 num"]

    @property
    def number(self) -> int:
        """The number of features of space."""
        return self.weights.shape[2]

    def at(self, time: Float[np.ndarray, " n"], order: int = 0) -> Float[np.ndarray, "n num"]:
        """Return the features' weights at times, or their derivatives of an order."""
        step = np.clip(np.searchsorted(self.times, time) - 1, 0, len(self.weights) - 1)
        length = self.times[step + 1] - self.times[step]
        part = (time - self.times[step]) / length
        found = np.zeros((len(time), self.weights.shape[2]))
        for power in range(order, self.weights.shape[1]):
            factor = np.prod(np.arange(power - order + 1, power + 1)) * part ** (power - order)
            found += (factor / length**order)[:, None] * self.weights[step, power]
        found[time > self.times[-1] + LATER] = np.nan
        return found

    def __call__(
        self, points: Float[np.ndarray, "n d"], operator: Operator
    ) -> Float[np.ndarray, "n 1"]:
        return self.combined_at(points, split(operator))[:, None]

    def combined(self, points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "1"]) -> Values:
        """Return the function times a number, with its derivatives."""
        num, dimensions = points.shape
        u = self(points, Operator(np.ones(num)))
        gradient = np.empty((num, dimensions))
        hessian = np.empty((num, dimensions, dimensions))
        for a in range(dimensions):
            along = np.zeros((num, dimensions))
            along[:, a] = 1
            gradient[:, a] = self(points, Operator(None, along))[:, 0]
            for b in range(a + 1):
                bend = np.zeros((num, dimensions, dimensions))
                bend[:, a, b] = 1
                second = self(points, Operator(None, None, bend))[:, 0]
                hessian[:, a, b] = hessian[:, b, a] = second
        return Values(weights[0] * u[:, 0], weights[0] * gradient, weights[0] * hessian)

    def combined_at(
        self, points: Float[np.ndarray, "n d"], parts: Sequence[Operator]
    ) -> Float[np.ndarray, " n"]:
        """Return the sum of operators in space, applied to the derivatives by time.

        Args:
          points: in space and time.
          parts: by the order of the derivative.
        """
        found = np.zeros(len(points))
        times, index = np.unique(points[:, -1], return_inverse=True)
        for order, part in enumerate(parts):
            if any(one is not None for one in part):
                weights = self.at(times, order)[index]
                found += np.einsum("nk,nk->n", self.features(points[:, :-1], part), weights)
        return found


def number_of(features: FeatureSet, weights: Float[np.ndarray, " num"]) -> int:
    """Return how many features a solution combines.

    Args:
      features: of the solution.
      weights: of the features.
    """
    return features.number if isinstance(features, Lines) else len(weights)


def split(operator: Operator) -> tuple[Operator, Operator, Operator]:
    """Return an operator's parts in space, by the order of the derivative by time.

    Args:
      operator: in space and time, the last coordinate.
    """
    value, slope, bend = operator
    parts = [[value, None, None], [None, None, None], [None, None, None]]
    if slope is not None:
        parts[0][1], parts[1][0] = slope[:, :-1], slope[:, -1]
    if bend is not None:
        parts[0][2], parts[1][1] = bend[:, :-1, :-1], bend[:, -1, :-1] + bend[:, :-1, -1]
        parts[2][0] = bend[:, -1, -1]
    first, second, third = (
        Operator(*(None if one is None or not np.any(one) else one for one in part))
        for part in parts
    )
    return first, second, third
