"""Solve a nonlinear problem through easier ones, in which a parameter has other values."""

from __future__ import annotations

from dataclasses import replace

from metajax.core import ConfigError
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.windows import Find, Window

CONVERGED = 0.05
"""Largest relative residual of an intermediate solution."""
MOST = 320
"""Sines of an intermediate solution."""
FIRST, LEAST = 0.5, 1 / 64
"""First and smallest step, as shares of the whole way."""


def along_parameter(problem: PDEProblem, name: str, begin: float, find: Find) -> Window:
    """Solve a problem from the solution of one in which a parameter has another value.

    Args:
      problem: a nonlinear one.
      name: of the parameter.
      begin: its value in the problem that is solved first.
      find: solves a problem, from a solution ``start``, by ``most`` sines.

    Returns:
      The solution of ``problem``, started from the last intermediate one.

    Raises:
      ConfigError: the problem has no such parameter.
    """
    if name not in problem.parameters:
        raise ConfigError("continuation", name, f"a parameter, of {', '.join(problem.parameters)}")
    end = float(problem.parameters[name])

    def at(share: float) -> PDEProblem:
        value = begin + share * (end - begin)
        return replace(problem, parameters={**problem.parameters, name: value})

    reached, done, step = find(at(0.0), most=MOST), 0.0, FIRST
    while done < 1 and step >= LEAST:
        aim = min(done + step, 1.0)
        tried = find(at(aim), most=MOST, start=reached)
        if tried.rounds.best.left.worst < CONVERGED:
            reached, done, step = tried, aim, 2 * step
        else:
            step /= 2
    return find(problem, start=reached)
