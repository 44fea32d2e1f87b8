"""Problems in time, one window after the other where a single one cannot resolve them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from metajax.physics.pde import Rectangle, Shape, on_host
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import Units
from metajax.physics.solver.fitting import Rounds
from metajax.physics.solver.points import box_of
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.solids import Extruded
from metajax.physics.solver.solution import Solution, WindowedSolution

UNRESOLVED = 1e-3
"""Share that is left above which a problem in time is solved window by window."""
RESOLVED, MOST = 5e-5, 640
"""Share that a window may leave, by so many sines at most; one that leaves more is halved."""
FIRST, LEAST = 0.25, 1 / 128
"""Lengths of the first window and of the shortest, over that of all time."""
GAIN = 0.7
"""Part of what is left that a window half as long leaves at most, if its length matters at all."""
EASY = 400
"""Features up to which a window was easy, so that the next one is twice as long."""


class Window(NamedTuple):
    """The solution of a part of the time.

    Attributes:
      problem: in this part.
      rounds: its solutions.
      units: in which they are.
    """

    problem: PDEProblem
    rounds: Rounds
    units: Units

    @property
    def solution(self) -> Solution:
        """The best one as a function."""
        best = self.rounds.best
        return Solution(best.features, best.head.weights, self.units)


Find = Callable[..., Window]
"""``find(problem, give_up=, most=, reach=)``: solve a problem, or stop early where more than
``give_up`` is left; by so many sines at most, from a first scale."""


def march(problem: PDEProblem, find: Find, clock: Clock) -> list[Window]:
    """Solve a problem window by window; each begins with the state in which the one before ends.

    Args:
      problem: one with time.
      find: solves one window.
      clock: stops the work after the first window.

    Returns:
      The windows, of which those that could not be made short enough leave more than they should.
      Where time ran out, they end early.
    """
    axis = problem.coordinates.index(str(problem.time))
    box = box_of(on_host(problem.domain))
    begin, end = box.centre[axis] - box.half[axis], box.centre[axis] + box.half[axis]
    whole, length = end - begin, FIRST * (end - begin)
    found: list[Window] = []
    now, longer = begin, np.inf
    while now < end - 1e-6 * whole and not (found and clock.stops()):
        until = end if now + 1.2 * length > end else now + length
        part = between(problem, axis, now, until)
        if found:
            part = replace(part, **state_after(problem, found[-1].solution, axis))
        reach = found[-1].rounds.reach if found else None
        shortest = length <= LEAST * whole
        window = find(part, give_up=np.inf if shortest else RESOLVED, most=MOST, reach=reach)
        left = window.rounds.best.left.worst
        if left > RESOLVED and not shortest and left < GAIN * longer:
            length, longer = length / 2, left
            continue
        longer = np.inf
        found.append(window)
        now = window.units.box.centre[axis] + window.units.box.half[axis]
        if window.rounds.history[-1][0] <= EASY:
            length *= 2
    return found


def between(problem: PDEProblem, axis: int, begin: float, end: float) -> PDEProblem:
    """A problem in a part of the time."""
    lower, upper = np.array(problem.domain.bounds, float)
    lower[axis], upper[axis] = begin, end
    return replace(problem, domain=cut(problem.domain, lower, upper))


def cut(domain: Shape, lower: np.ndarray, upper: np.ndarray) -> Shape:
    """The part of a domain that is in a box."""
    if isinstance(domain, Extruded):
        return replace(domain, lower=lower[-1], upper=upper[-1])
    if isinstance(domain, Rectangle):
        return replace(domain, lower=lower, upper=upper)
    return domain & Rectangle(lower, upper, "window")


def state_after(problem: PDEProblem, solution: Solution, axis: int) -> dict[str, Any]:
    """The initial data of the window that follows a solution."""
    dimensions = len(problem.coordinates)

    def initial(*given: Any) -> np.ndarray:
        return solution.at(np.stack(given[:dimensions], 1))

    def velocity(*given: Any) -> np.ndarray:
        return solution.gradient(np.stack(given[:dimensions], 1))[:, axis]

    state: dict[str, Any] = {"initial": initial}
    if problem.initial_velocity is not None:
        state["initial_velocity"] = velocity
    return state


def joined(windows: list[Window], axis: int, units: Units) -> Solution | WindowedSolution:
    """The solutions of windows as one.

    Args:
      windows: one or more.
      axis: the coordinate that is time.
      units: of the whole problem.
    """
    *ends, last = (end_of_time(window.problem.domain, axis) for window in windows)
    if not ends and last >= units.box.centre[axis] + units.box.half[axis]:
        return windows[0].solution
    solutions = tuple(window.solution for window in windows)
    return WindowedSolution(solutions, axis, np.array(ends), last, units)


def end_of_time(domain: Shape, axis: int) -> float:
    """Return the last of a coordinate in a domain.

    Args:
      domain: any.
      axis: the coordinate.
    """
    box = box_of(on_host(domain))
    return float(box.centre[axis] + box.half[axis])
