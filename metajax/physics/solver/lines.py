"""A function of space and time: features of space, whose weights are polynomials in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.ridge_functions import FeatureSet

DEGREES = 4
"""Coefficients of a polynomial in time: it is cubic."""


class Stretch(NamedTuple):
    """A part of the time in which the features are the same.

    Attributes:
      features: of space, in units.
      times: at which the polynomials begin, and the last one ends, ``[steps + 1]``.
      weights: of powers of the part of a step that has passed, ``[steps, 4, num]``.
    """

    features: FeatureSet
    times: Float[np.ndarray, " knots"]
    weights: Float[np.ndarray, "steps 4 num"]

    def at(self, time: Float[np.ndarray, " n"], order: int = 0) -> Float[np.ndarray, "n num"]:
        """Return the features' weights at times, or their derivatives of an order."""
        step = np.clip(np.searchsorted(self.times, time) - 1, 0, len(self.weights) - 1)
        length = self.times[step + 1] - self.times[step]
        part = (time - self.times[step]) / length
        found = np.zeros((len(time), self.weights.shape[2]))
        for power in range(order, DEGREES):
            factor = np.prod(np.arange(power - order + 1, power + 1)) * part ** (power - order)
            found += (factor / length**order)[:, None] * self.weights[step, power]
        return found


@dataclass(frozen=True)
class Lines:
    """One feature: a function of space and time, the last coordinate. After its end it is NaN.

    Attributes:
      stretches: of time, which follow each other.
    """

    stretches: tuple[Stretch, ...]

    @property
    def ends(self) -> Float[np.ndarray, " stretches"]:
        """When each stretch ends."""
        return np.array([one.times[-1] for one in self.stretches])

    @property
    def features(self) -> int:
        """The number of features of space, where they are most."""
        return max(one.weights.shape[2] for one in self.stretches)

    def __call__(
        self, points: Float[np.ndarray, "n d"], operator: Operator
    ) -> Float[np.ndarray, "n 1"]:
        found = np.full((len(points), 1), np.nan)
        for stretch, here in self._parts(points):
            part = Operator(*(None if one is None else one[here] for one in operator))
            found[here, 0] = applied(stretch, points[here], part)
        return found

    def combined(
        self, points: Float[np.ndarray, "n d"], weights: Float[np.ndarray, "1"]
    ) -> Values:
        """Return the function times a number, with its derivatives."""
        num, dimensions = points.shape
        u, gradient = np.full(num, np.nan), np.full((num, dimensions), np.nan)
        hessian = np.full((num, dimensions, dimensions), np.nan)
        for stretch, here in self._parts(points):
            where = points[here]
            one = np.ones(len(where))
            u[here] = applied(stretch, where, Operator(one))
            for a in range(dimensions):
                along = np.zeros(where.shape)
                along[:, a] = 1
                gradient[here, a] = applied(stretch, where, Operator(None, along))
                for b in range(a + 1):
                    bend = np.zeros((*where.shape, dimensions))
                    bend[:, a, b] = 1
                    second = applied(stretch, where, Operator(None, None, bend))
                    hessian[here, a, b] = hessian[here, b, a] = second
        return Values(weights[0] * u, weights[0] * gradient, weights[0] * hessian)

    def _parts(self, points: np.ndarray) -> list[tuple[Stretch, np.ndarray]]:
        """Each stretch with the indices of its points, where it has any."""
        number = np.searchsorted(self.ends, points[:, -1])
        indices = [np.flatnonzero(number == one) for one in range(len(self.stretches))]
        pairs = zip(self.stretches, indices, strict=True)
        return [(stretch, here) for stretch, here in pairs if len(here)]


def applied(
    stretch: Stretch, points: Float[np.ndarray, "n d"], operator: Operator
) -> Float[np.ndarray, " n"]:
    """Apply an operator to the function of a stretch.

    Args:
      stretch: of time.
      points: in space and time.
      operator: at these points.
    """
    where = points[:, :-1]
    times, index = np.unique(points[:, -1], return_inverse=True)
    value, slope, bend = operator
    # by the order of the derivative by time
    parts: list[Operator] = [
        Operator(
            value,
            None if slope is None else slope[:, :-1],
            None if bend is None else bend[:, :-1, :-1],
        ),
        Operator(
            None if slope is None else slope[:, -1],
            None if bend is None else bend[:, -1, :-1] + bend[:, :-1, -1],
        ),
        Operator(None if bend is None else bend[:, -1, -1]),
    ]
    found = np.zeros(len(points))
    for order, part in enumerate(parts):
        part = Operator(*(None if one is None or not np.any(one) else one for one in part))
        if any(one is not None for one in part):
            weights = stretch.at(times, order)[index]
            found += np.einsum("nk,nk->n", stretch.features(where, part), weights)
    return found
