"""Solve PDEs by least squares over features, and say how far a solution can be trusted.

The equations may be linear or not, in the plane, in space, or over time. ``solve`` solves one, and
``solve_fn`` makes the solution a function of parameters.
"""

from metajax.physics.solver.collocation import Collocation, Units, collocate
from metajax.physics.solver.gauss_newton import Fitted, improve_features
from metajax.physics.solver.least_squares import (
    BOUNDARY_WEIGHT,
    ConcatenatedFeatures,
    Equations,
    Features,
    RandomFeatures,
    equations,
    filled,
    random_features,
    solve_head,
    with_constant,
)
from metajax.physics.solver.operators import At, Block, Operator, design
from metajax.physics.solver.parametric import ParametricSolution, ParametricSolver, solve_fn
from metajax.physics.solver.pictures import Maps, animate, draw, maps_of
from metajax.physics.solver.problem import PDEProblem, Robin, as_pde, as_problem
from metajax.physics.solver.problem_file import read_problem
from metajax.physics.solver.solids import Ball, Box, Extruded
from metajax.physics.solver.solved import Solved
from metajax.physics.solver.solving import MOST_SECONDS, POINTS, solve
from metajax.physics.solver.verdict import DoubtfulSolutionWarning

__all__ = [
    "BOUNDARY_WEIGHT",
    "MOST_SECONDS",
    "POINTS",
    "At",
    "Ball",
    "Block",
    "Box",
    "Collocation",
    "ConcatenatedFeatures",
    "DoubtfulSolutionWarning",
    "Equations",
    "Extruded",
    "Features",
    "Fitted",
    "Maps",
    "Operator",
    "PDEProblem",
    "ParametricSolution",
    "ParametricSolver",
    "RandomFeatures",
    "Robin",
    "Solved",
    "Units",
    "animate",
    "as_pde",
    "as_problem",
    "collocate",
    "design",
    "draw",
    "equations",
    "filled",
    "improve_features",
    "maps_of",
    "random_features",
    "read_problem",
    "solve",
    "solve_fn",
    "solve_head",
    "with_constant",
]
