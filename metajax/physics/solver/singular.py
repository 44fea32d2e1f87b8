"""Functions that a problem's domain and coefficients call for, in addition to sines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.spatial import cKDTree

from metajax.physics.pde import Shape, on_host
from metajax.physics.solver.collocation import Units
from metajax.physics.solver.corners import (
    AROUND,
    Corner,
    corner_features,
    corners_of,
    jump_features,
    kinds_of,
)
from metajax.physics.solver.discontinuities import EdgeJump, edge_jumps
from metajax.physics.solver.domain_parts import Parts, Within
from metajax.physics.solver.holes import hole_features, holes_of
from metajax.physics.solver.operators import At
from metajax.physics.solver.points import contains, unit_box
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import FeatureSet
from metajax.physics.solver.transmission import INTERFACE, Sector, transmission_features
from metajax.physics.solver.waves import constants_of, plane_waves

ELLIPTIC = 1e-6
"""Least ratio of the eigenvalues of second derivatives for which powers are sought at corners."""


def special_features(
    problem: PDEProblem, units: Units, inside: At, parts: Parts | None = None
) -> list[FeatureSet]:
    """Return features for the corners and holes of a domain, and waves.

    Args:
      problem: whose equation and domain are looked at.
      units: of the features' points.
      inside: the equation's operator at points inside.
      parts: of the domain, between interfaces; each has features of its own. None: there is one.

    Returns:
      The features; none where sines are enough.
    """
    if len(problem.coordinates) != 2 or inside.operator.hessian is None:
        return []
    domain = on_host(problem.domain)
    kinds = kinds_of(problem)
    jumps = edge_jumps(problem, units.box)
    if parts is None:
        found, _ = features_within(domain, units, inside, kinds, jumps)
        return found
    kinds += [INTERFACE] * sum(len(shape.pieces) for _, shape in parts.shapes)
    owner = parts.of(inside.points)
    every: list[FeatureSet] = []
    sectors: list[Sector] = []
    for part in range(len(parts.codes)):
        here = owner == part
        at = At(inside.points[here], inside.operator.at(here))
        found, met = features_within(parts.domain_of(domain, part), units, at, kinds, jumps)
        every += [Within(one, parts, part, unit_box(2)) for one in found]
        sectors += [Sector(part, corner, hessian) for corner, hessian in met]
    for part, features in transmission_features(sectors, kinds):
        every.append(Within(features, parts, part, unit_box(2)))
    return every


def features_within(
    domain: Shape,
    units: Units,
    inside: At,
    kinds: Sequence[frozenset[str]],
    jumps: Sequence[EdgeJump],
) -> tuple[list[FeatureSet], list[tuple[Corner, Float[np.ndarray, "2 2"]]]]:
    """The features of a domain or a part of one, and its corners at interfaces.

    Args:
      domain: it.
      units: of the features' points.
      inside: the equation's operator at points inside.
      kinds: of the data on each piece of its boundary.
      jumps: of data along the boundary of the whole domain.

    Returns:
      The features; and the corners with the coefficients of the second derivatives.
    """
    found: list[FeatureSet] = []
    met: list[tuple[Corner, Float[np.ndarray, "2 2"]]] = []
    assert inside.operator.hessian is not None
    if not len(inside.points):
        return found, met
    constants = constants_of(inside.operator, 2)
    waves = None if constants is None else plane_waves(constants)
    if waves is not None:
        found.append(waves)
    second = inside.operator.hessian
    second = (second + np.swapaxes(second, 1, 2)) / 2
    sizes = np.linalg.eigvalsh(second)
    sign = np.sign(sizes[0, 0])
    if not (sizes[:, 0] * sizes[:, 1] > ELLIPTIC * np.max(np.abs(sizes)) ** 2).all() or not sign:
        return found, met
    nearest = cKDTree(inside.points)
    for corner in corners_of(domain, units.box, kinds):
        near = sign * second[nearest.query(corner.point)[1]]
        if INTERFACE in (kinds[corner.pieces[0]], kinds[corner.pieces[1]]):
            met.append((corner, near))
            continue
        features = corner_features(corner, near)
        if features is not None:
            found.append(features)
    for jump in jumps:
        within = jump.point + AROUND * np.array([-jump.tangent[1], jump.tangent[0]])
        if contains(domain, units.box.places(within[None]))[0]:
            near = sign * second[nearest.query(jump.point)[1]]
            found.append(jump_features(*jump, near))
    value = None
    if constants is not None and not np.any(constants.gradient):
        value = sign * constants.value
    for hole in holes_of(domain, units.box):
        near = nearest.query(hole.center)[1]
        found += hole_features(hole, sign * second[near], value)
    return found, met
