"""Cache the values of features at points, for solves that differ in other features alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.operators import Operator, Values
from metajax.physics.solver.ridge_functions import FeatureSet

Component = tuple[int, ...]
"""A derivative: () of none, (i,) by a coordinate, (i, j) by two."""


@runtime_checkable
class Applied(Protocol):
    """Features that are made of functions, whatever operator is applied to them."""

    def functions(self, points: Float[np.ndarray, "n d"]) -> Any:
        """Return these functions at points."""

    def applied(self, known: Any, operator: Operator) -> np.ndarray:
        """Return the operator applied to every feature where the functions are known."""


@dataclass(frozen=True)
class Tabulated:
    """Features that are computed once for each array of points.

    Attributes:
      features: any.
      num: how many they are.
      kept: what was computed, by the array of points, which is kept too, and the derivative.
      functions: what features are made of, by the array of points.
    """

    features: FeatureSet
    num: int
    kept: dict[tuple[int, Component], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    functions: dict[int, Any] = field(default_factory=dict)

    def table(self, points: Float[np.ndarray, "n d"], component: Component) -> np.ndarray:
        """Return one derivative of all features at points."""
        key = id(points), component
        if key not in self.kept:
            num, dimensions = points.shape
            one = np.zeros((dimensions,) * len(component))
            one[component] = 1
            parts: list[np.ndarray | None] = [None, None, None]
            parts[len(component)] = np.broadcast_to(one, (num, *one.shape))
            self.kept[key] = points, self.computed(points, Operator(*parts))
        return self.kept[key][1]

    def computed(self, points: Float[np.ndarray, "n d"], operator: Operator) -> np.ndarray:
        """Return an operator applied to all features at points."""
        if not isinstance(self.features, Applied):
            return self.features(points, operator)
        if id(points) not in self.functions:
            self.functions[id(points)] = self.features.functions(points)
        return self.features.applied(self.functions[id(points)], operator)

    def __call__(self, points: Float[np.ndarray, "n d"], operator: Operator) -> np.ndarray:
        dimensions = points.shape[1]
        value, gradient, hessian = operator
        found: list[np.ndarray] = []
        if value is not None:
            found.append(value[:, None] * self.table(points, ()))
        for one in range(dimensions):
            if gradient is not None and np.any(gradient[:, one]):
                found.append(gradient[:, one, None] * self.table(points, (one,)))
        for one in range(dimensions):
            for other in range(one + 1 if hessian is not None else 0):
                assert hessian is not None
                both = hessian[:, one, other] + (one != other) * hessian[:, other, one]
                if np.any(both):
                    found.append(both[:, None] * self.table(points, (one, other)))
        return sum(found[1:], start=found[0]) if found else 0 * self.table(points, ())

    def combined(self, points: Float[np.ndarray, "n d"], weights: np.ndarray) -> Values:
        """Return one combination of the features with its derivatives at points."""
        axes = range(points.shape[1])
        rows = [[self.table(points, (max(i, j), min(i, j))) @ weights for j in axes] for i in axes]
        return Values(
            self.table(points, ()) @ weights,
            np.stack([self.table(points, (i,)) @ weights for i in axes], 1),
            np.moveaxis(np.array(rows), -1, 0),
        )
