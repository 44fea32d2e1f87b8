"""A problem at points: equations that are linear in u, but for what is nonlinear of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.problem import PDEProblem

BOUNDARY_WEIGHT = 10.0
"""Of boundary data against the equation."""


class Box(NamedTuple):
    """The box around a domain, which is from -1 to 1 in units.

    Attributes:
      centre: of it.
      half: half its extent, along each coordinate.
    """

    centre: Float[np.ndarray, " d"]
    half: Float[np.ndarray, " d"]

    def units(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return points in units."""
        return (points - self.centre[None]) / self.half[None]


class Collocation(NamedTuple):
    """A problem at points.

    Attributes:
      blocks: its equations by kind; the first is the PDE.
      box: what units are.
    """

    blocks: tuple[Block, ...]
    box: Box


def collocate(problem: PDEProblem, seed: int, interior: int, boundary: int) -> Collocation:
    """Take a problem at points: interim version of linear problems on a rectangle.

    Args:
      problem: any.
      seed: of the points.
      interior: points inside.
      boundary: points of the boundary.
    """
    lower, upper = np.asarray(problem.domain.bounds, float)
    box = Box((lower + upper) / 2, (upper - lower) / 2)
    points = lower + (upper - lower) * qmc.Sobol(2, seed=seed).random(interior)

    def at(value: Any, where: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        found = value(*where.T) if callable(value) else value
        return np.broadcast_to(np.asarray(found, float), len(where)).copy()

    numbers = {name: at(value, points) for name, value in problem.coefficients.items()}
    gradient, hessian = np.zeros((interior, 2)), np.zeros((interior, 2, 2))
    for place, name in enumerate(problem.coordinates):
        gradient[:, place] = numbers.get(f"u_{name}", 0.0)
        hessian[:, place, place] = numbers.get(f"u_{name}{name}", 0.0)
    operator = Operator(numbers.get("u"), gradient, hessian).scaled(box.half)
    blocks = [Block("equation", (At(box.units(points), operator),), at(problem.source, points))]
    line = np.linspace(0, 1, boundary // 4)
    for name, place, end in (("left", 0, 0), ("right", 0, 1), ("bottom", 1, 0), ("top", 1, 1)):
        edge = np.empty((len(line), 2))
        edge[:, place] = (lower, upper)[end][place]
        edge[:, 1 - place] = lower[1 - place] + (upper - lower)[1 - place] * line
        outward = np.zeros((len(line), 2))
        outward[:, place] = 2 * end - 1
        for kind, data, taken in (
            ("dirichlet", problem.dirichlet, Operator(np.ones(len(line)))),
            ("neumann", problem.neumann, Operator(None, outward).scaled(box.half)),
        ):
            if name in data:
                parts = (At(box.units(edge), taken),)
                weight = BOUNDARY_WEIGHT
                blocks.append(Block(f"{kind} on {name}", parts, at(data[name], edge), weight))
    return Collocation(tuple(blocks), box)
