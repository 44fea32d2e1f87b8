"""Whether an equation has one type: elliptic, parabolic or hyperbolic, all over its domain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from metajax.physics.pde import on_host
from metajax.physics.solver.coefficient_jumps import both_sides, sample_interface
from metajax.physics.solver.collocation import operator_at
from metajax.physics.solver.points import Box, written
from metajax.physics.solver.problem import PDEProblem

ROUNDED = 1e-9
"""Size of a coefficient, relative to the largest one, up to which it counts as 0."""
DOUBT = "data on the boundary may determine no u, or more than one"
BESIDE = 64
"""Points of each region's boundary at both sides of which coefficients are looked at."""


def about_type(
    problem: PDEProblem,
    box: Box,
    inside: Float[np.ndarray, "n d"],
    parameters: Mapping[str, Any],
) -> str | None:
    """Say where an equation changes its type inside the domain.

    Its type is given by how many eigenvalues of the second derivatives' coefficients are above and
    below 0, and by the direction of time where there is diffusion in the other coordinates alone.
    Where one of these is 0 the equation is degenerate, and not of another type.

    Args:
      problem: any.
      box: around its domain.
      inside: points inside, in the person's units.
      parameters: of the problem, known.

    Returns:
      The text; None where it has one type.
    """
    points = [inside]
    for region in problem.regions.values():
        points += both_sides(sample_interface(problem, box, on_host(region), BESIDE, 0), box)
    where = np.concatenate(points)
    operator = operator_at(problem, where, parameters, finite=False).scaled(box.half)
    if operator.hessian is None:
        return None
    second = np.nan_to_num((operator.hessian + np.swapaxes(operator.hessian, 1, 2)) / 2)
    signs = np.sign(np.where(np.abs(second) > ROUNDED * np.max(np.abs(second)), second, 0.0))
    sizes = np.linalg.eigvalsh(second)
    least = ROUNDED * np.max(np.abs(sizes), initial=0.0)
    above, below = np.sum(sizes > least, 1), np.sum(sizes < -least, 1)
    if np.max(above) + np.max(below) > np.max(above + below):
        pair = where[[np.argmax(above), np.argmax(below)]]
        return (
            f"the equation changes its type: the coefficients of its second derivatives have "
            f"other signs near {written(pair[0])} than near {written(pair[1])}; {DOUBT}"
        )
    flat = np.flatnonzero(~np.any(signs, (0, 2)))
    if operator.gradient is None or len(flat) != 1 or (np.max(above) and np.max(below)):
        return None
    rate = np.nan_to_num(operator.gradient[:, flat[0]])
    turns = np.abs(rate) > ROUNDED * np.max(np.abs(rate), initial=0.0)
    if np.any(turns & (rate > 0)) and np.any(turns & (rate < 0)):
        name = problem.coordinates[flat[0]]
        pair = where[[np.argmax(rate), np.argmin(rate)]]
        return (
            f"the equation changes its type: time runs in other directions along {name} near "
            f"{written(pair[0])} than near {written(pair[1])}; {DOUBT}"
        )
    return None
