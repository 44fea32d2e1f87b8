"""Equations at the curves inside a domain at which coefficients or the source jump.

u is smooth on both sides of such an interface, and not across it. So each part of the domain has
features of its own. Two equations join them: u and its flux are continuous. The flux is
``normal . A . gradient of u``, where A has the coefficients of the second derivatives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from metajax.physics.solver.coefficient_jumps import both_sides, sample_interface
from metajax.physics.solver.collocation import BOUNDARY_WEIGHT, Units, operator_at
from metajax.physics.solver.domain_parts import Parts
from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.problem import PDEProblem


def interface_blocks(
    problem: PDEProblem,
    parts: Parts,
    units: Units,
    parameters: Mapping[str, Any],
    seed: int,
    num: int,
) -> list[Block]:
    """Return the equations at interfaces: u and its flux are the same on both sides.

    Args:
      problem: any.
      parts: of its domain.
      units: of the equations.
      parameters: of the problem, known.
      seed: of the points.
      num: points of each interface, about.
    """
    box, blocks = units.box, []
    for number, (name, shape) in enumerate(parts.shapes):
        at = sample_interface(problem, box, shape, num, seed + number)
        if not len(at.points):
            continue
        sides = both_sides(at, box)
        inner, outer = (box.units(side) for side in sides)
        one, none = np.ones(len(inner)), np.zeros(len(inner))
        same = (At(inner, Operator(one)), At(outer, Operator(-one)))
        blocks.append(Block(f"continuity at {name}", same, none, BOUNDARY_WEIGHT))
        fluxes: list[np.ndarray] = []
        for side, sign in zip(sides, (1, -1), strict=True):
            second = operator_at(problem, side, parameters, finite=False).hessian
            if second is None:
                break
            second = (second + np.swapaxes(second, 1, 2)) / 2
            across = sign * np.einsum("nij,nj->ni", second, at.normals)
            fluxes.append(across / box.half)
        if not fluxes:
            continue
        size: np.ndarray = np.max([np.linalg.norm(flux, axis=1) for flux in fluxes], 0)
        there = size > 0  # nothing flows along time
        if there.any():
            scaled = [
                At(where[there], Operator(None, flux[there] / size[there, None]))
                for where, flux in zip((inner, outer), fluxes, strict=True)
            ]
            target = np.zeros(int(there.sum()))
            blocks.append(Block(f"flux through {name}", tuple(scaled), target, BOUNDARY_WEIGHT))
    return blocks
