"""Smooth functions that solve an equation of constant coefficients by themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from metajax.physics.solver.corners import CornerFeatures, to_laplacian
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.ridge_functions import RidgeFunctions

SAME = 1e-9
"""How far coefficients may vary and count as constant, relative to the largest."""
DENSE = 1.4
"""Waves for each that the domain's extent can tell from its neighbors."""
MOST = 400
"""Waves of each phase at most."""
DEGREE = 60
"""Highest degree of harmonic polynomials."""


class Constants(NamedTuple):
    """An operator that is the same everywhere.

    Attributes:
      value: the coefficient of u.
      gradient: of its first derivatives.
      hessian: of its second ones, symmetric.
    """

    value: float
    gradient: Float[np.ndarray, " d"]
    hessian: Float[np.ndarray, "d d"]


def constants_of(operator: Operator, dimensions: int) -> Constants | None:
    """Return the coefficients of an operator that does not vary; None for another one.

    Args:
      operator: at points.
      dimensions: of the points.
    """
    sizes = (), (dimensions,), (dimensions, dimensions)
    found = []
    for part, size in zip(operator, sizes, strict=True):
        if part is None:
            found.append(np.zeros(size))
            continue
        if np.max(np.abs(part - part[:1])) > SAME * np.max(np.abs(part)):
            return None
        found.append(np.asarray(part[0]))
    value, gradient, hessian = found
    return Constants(float(value), gradient, (hessian + hessian.T) / 2)


def wave_number(constants: Constants) -> float:
    """Return the largest wave number of waves in space, in radians a unit; 0 where there are none.

    Args:
      constants: of the operator.
    """
    sizes = linalg.eigvalsh(constants.hessian)
    if constants.value <= 0 or sizes[0] <= 0:
        return 0.0
    return float(np.sqrt(constants.value / sizes[0]))


def plane_waves(constants: Constants) -> RidgeFunctions | None:
    """Return waves in the plane of all directions, which solve the equation without a source.

    Args:
      constants: of an operator whose second derivatives are the Laplacian in some coordinates.

    Returns:
      The waves; None where there are none.
    """
    largest = wave_number(constants)
    if len(constants.gradient) != 2 or not largest or np.any(constants.gradient):
        return None
    num = min(int(DENSE * 2 * np.sqrt(2) * largest) + 16, MOST)
    angle = np.pi * (np.arange(num) + 0.5) / num
    circle = np.stack([np.cos(angle), np.sin(angle)])
    to_ellipse = linalg.inv(np.linalg.cholesky(constants.hessian)).T
    directions = np.sqrt(constants.value) * to_ellipse @ circle
    phases = np.repeat([0.0, np.pi / 2], num)
    return RidgeFunctions(np.concatenate([directions, directions], 1), phases, "sin")


def harmonic_polynomials(constants: Constants) -> CornerFeatures | None:
    """Return both parts of powers of a complex coordinate, which solve Laplace's equation.

    They reach the solution around holes at once, where sines have to be combined to a function
    that also has no source.

    Args:
      constants: of an operator without lower derivatives, in the plane.

    Returns:
      The polynomials; None for another operator.
    """
    hessian = constants.hessian
    if len(hessian) != 2 or constants.value or np.any(constants.gradient):
        return None
    sign = np.sign(hessian[0, 0])
    if linalg.eigvalsh(sign * hessian)[0] <= 0:
        return None
    direction = to_laplacian(sign * hessian)
    # of size 1 at the corner of the box that is farthest away
    direction = direction / np.abs(direction @ np.array([[1, 1], [1, -1]])).max()
    powers = np.repeat(np.arange(1.0, DEGREE + 1), 2)
    parts = np.tile([1 + 0j, -1j], DEGREE)
    none = np.zeros(len(powers))
    return CornerFeatures(np.zeros(2), direction, 0.0, powers, none, none, parts)


def smooth_solutions(operator: Operator, dimensions: int) -> list[CornerFeatures]:
    """Return smooth solutions of an equation without a source, other than plane waves.

    Args:
      operator: of the equation, at points.
      dimensions: of the points.
    """
    constants = constants_of(operator, dimensions)
    found = None if constants is None else harmonic_polynomials(constants)
    return [] if found is None else [found]
