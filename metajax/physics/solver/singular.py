"""Functions that a problem's domain and coefficients call for, in addition to sines."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from metajax.physics.pde import on_host
from metajax.physics.solver.collocation import Units
from metajax.physics.solver.corners import corner_features, corners_of
from metajax.physics.solver.holes import hole_features, holes_of
from metajax.physics.solver.operators import At
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import FeatureSet
from metajax.physics.solver.waves import constants_of, plane_waves

ELLIPTIC = 1e-6
"""Least ratio of the eigenvalues of second derivatives for which powers are sought at corners."""


def special_features(problem: PDEProblem, units: Units, inside: At) -> list[FeatureSet]:
    """Return features for the corners and holes of a domain, and waves.

    Args:
      problem: whose equation and domain are looked at.
      units: of the features' points.
      inside: the equation's operator at points inside.

    Returns:
      The features; none where sines are enough.
    """
    if len(problem.coordinates) != 2 or inside.operator.hessian is None:
        return []
    constants = constants_of(inside.operator, 2)
    found: list[FeatureSet] = []
    waves = None if constants is None else plane_waves(constants)
    if waves is not None:
        found.append(waves)
    second = inside.operator.hessian
    second = (second + np.swapaxes(second, 1, 2)) / 2
    sizes = np.linalg.eigvalsh(second)
    sign = np.sign(sizes[0, 0])
    if not (sizes[:, 0] * sizes[:, 1] > ELLIPTIC * np.max(np.abs(sizes)) ** 2).all() or not sign:
        return found
    nearest = cKDTree(inside.points)
    domain = on_host(problem.domain)
    kinds = [
        frozenset(data.kind for data in problem.edges if number in data.pieces)
        for number in range(len(domain.pieces))
    ]
    for corner in corners_of(domain, units.box, kinds):
        near = nearest.query(corner.point)[1]
        features = corner_features(corner, sign * second[near])
        if features is not None:
            found.append(features)
    value = None
    if constants is not None and not np.any(constants.gradient):
        value = sign * constants.value
    for hole in holes_of(domain, units.box):
        near = nearest.query(hole.center)[1]
        found.append(hole_features(hole, sign * second[near], value))
    return found
