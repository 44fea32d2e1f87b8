"""Problems in time, solved over all of it by rounds of ever more functions of space.

A window of space and time combines functions of both, and takes time as the cube of their number.
Functions of space alone are far fewer. How their weights change is a system of ordinary
differential equations, which SciPy integrates by an implicit method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg
from scipy.integrate import Radau

from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import (
    BOUNDARY_WEIGHT,
    PROBES,
    Units,
    anywhere,
    blocks_at,
    sample_problem,
    units_of,
)
from metajax.physics.solver.domain_parts import slope_jumps
from metajax.physics.solver.evolution import Evolution, draw_space, in_space
from metajax.physics.solver.fitting import DEARER, FRESH, Fitted, Left, Rounds, left_of, rms
from metajax.physics.solver.holes import BesselFeatures
from metajax.physics.solver.lapack import HostHead
from metajax.physics.solver.lines import Lines
from metajax.physics.solver.operators import At, Block, Operator
from metajax.physics.solver.points import Box
from metajax.physics.solver.problem import PDEProblem, Robin
from metajax.physics.solver.ridge_functions import FeatureSet
from metajax.physics.solver.singular import special_features
from metajax.physics.solver.solids import Extruded
from metajax.physics.solver.values import evaluate, known_parameters
from metajax.physics.solver.windows import Window, between

FIRST = 128
"""Functions of the first round; each further one has twice as many."""
EXACT = 0.1
"""Tolerance of the integration in time, over that of the residual."""
LOST = 0.5
"""Share of the equation's terms that is left, from which on a round is not continued."""
MOST_STEPS = 2000
"""Steps of a round."""
SETTLED = 10.0
"""Change of u between rounds over the tolerance of residuals below which it is enough."""
LOOKS, SMALL = 72, 300
"""Times at which errors are followed, and functions of the round in which they are, at most."""
MORE = 4
"""Points inside at which solutions are judged, over those of other problems."""
FALLS_OFF = 2.0, 6.0
"""How fast functions fall from a hole, over half the box."""
HUGE = 1e100
"""What stands for an infinite change."""
HOPELESS = 1e8
"""Factor by which errors grow over all time from which on nothing is known of the solution."""
DATA = 0.1
"""Least change of u for a change of equation and data by 1, as weighted."""


class Round(NamedTuple):
    """A solution by one number of functions.

    Attributes:
      evolution: the functions.
      lines: the solution.
      free: powers of the part of a step that has passed, ``[steps, 4, free]``.
    """

    evolution: Evolution
    lines: Lines
    free: Float[np.ndarray, "steps 4 free"]

    @property
    def reached(self) -> float:
        """The time that was reached, in units: 1 where it is all."""
        return float(self.lines.times[-1])

    def at(self, time: float) -> Float[np.ndarray, " free"]:
        """Return the free weights at a time."""
        times = self.lines.times
        step = int(np.clip(np.searchsorted(times, time) - 1, 0, len(self.free) - 1))
        part = (time - times[step]) / (times[step + 1] - times[step])
        return part ** np.arange(self.free.shape[1]) @ self.free[step]


def evolve(
    problem: PDEProblem,
    *,
    tolerance: float,
    features: int,
    seed: int,
    clock: Clock,
    report: Callable[[str], object],
) -> Window | None:
    """Solve a problem in time by rounds of ever more functions of space.

    Args:
      problem: one that can be: see :func:`metajax.physics.solver.evolution.can_evolve`.
      tolerance: largest relative residual.
      features: functions at most.
      seed: of functions and points.
      clock: stops the work.
      report: is told what is done.

    Returns:
      The solution, up to the time that was reached; None where it is not one that can be followed,
      or not a single step was possible. Functions that are smooth all over space cannot follow a
      solution whose slope jumps at an interface.
    """
    parameters = known_parameters(problem)
    units = units_of(problem, sample_problem(problem, 0, *PROBES), parameters)
    if slope_jumps(problem, units, parameters):
        return None
    special = special_of(problem, units)
    size = min(FIRST, features)
    best: Round | None = None
    before: Round | None = None
    followed: Round | None = None
    fitted: list[Fitted] = []
    history: list[tuple[int, Left]] = []
    changes: list[float] = []
    while True:
        begun = clock.passed
        evolution = Evolution(problem, units, draw_space(problem, units, size, special, seed), seed)
        if not evolution.usable:
            return None
        new = integrate(evolution, tolerance, clock, size >= features, report)
        took = clock.passed - begun
        if new is not None and (best is None or new.reached >= best.reached):
            best, before = new, best
            if new.reached == 1 and (followed is None or size <= SMALL):
                followed = new
            part = until(problem, units, best.reached)
            sampled = sample_problem(part, seed + 1, MORE * FRESH[0], FRESH[1])
            fresh = blocks_at(part, sampled, units, known_parameters(problem))
            fitted.append(fitted_by(best.lines, fresh))
            history.append((best.lines.number, fitted[-1].left))
            if best.reached == 1 and fitted[-1].left.worst < tolerance:
                break
            if before is not None and before.reached == best.reached == 1:
                points = points_of(fresh[0])
                u = best.lines(*points)
                changes.append(rms(u - before.lines(*points)) / rms(u))
                # the next round would change it as much less
                falls = min(changes[-1] / changes[-2], 1.0) if len(changes) > 1 else 1.0
                if changes[-1] * falls < SETTLED * tolerance:
                    break
        whole = best is not None and best.reached == 1
        if size >= features or clock.stops(DEARER * took if whole else 0.0):
            break
        size = min(2 * size, features)
    if best is None:
        return None
    if followed is None:
        followed = best
    earlier = None
    if before is not None and before.reached >= best.reached:
        earlier = fitted_by(before.lines, fresh)
    inside = rms(best.lines(*points_of(fresh[0])))
    moved = max(growth(followed), DATA) / max(inside, np.finfo(float).tiny)
    head = fitted[-1].head._replace(factor=np.full((1, 1), 1 / min(moved, HUGE)))
    rounds = Rounds(fitted[-1]._replace(head=head), earlier, tuple(history), fresh)
    return Window(part, rounds, units)


def until(problem: PDEProblem, units: Units, reached: float) -> PDEProblem:
    """A problem up to a time in units."""
    if reached >= 1:
        return problem
    axis, box = len(units.box.half) - 1, units.box
    begin = box.centre[axis] - box.half[axis]
    return between(problem, axis, begin, begin + (1 + reached) * box.half[axis])


def points_of(block: Block) -> At:
    """The points of a block, with the operator that is u."""
    points = block.parts[0].points
    return At(points, Operator(np.ones(len(points))))


def fitted_by(lines: Lines, fresh: Sequence[Block]) -> Fitted:
    """A solution as a single feature."""
    head = HostHead(np.ones(1), np.ones((1, 1)), np.ones(1))
    dimensions = fresh[0].parts[0].points.shape[1]
    return Fitted(lines, head, np.full(dimensions, np.nan), left_of(fresh, lines, head.weights))


def special_of(problem: PDEProblem, units: Units) -> list[FeatureSet]:
    """Features of space for the corners and holes of a domain."""
    domain = problem.domain
    if not isinstance(domain, Extruded):
        return []
    pieces = domain.shape.pieces
    data: dict[str, Any] = {}
    for one in problem.edges:
        # the kinds of data count, not their values
        value = Robin(1.0, 1.0, 0.0) if one.kind == "robin" else 0.0
        here = (pieces[at].names[-1] for at in one.pieces if at < len(pieces))
        data.setdefault(one.kind, {}).update(dict.fromkeys(here, value))
    if not data:  # periodic along both coordinates
        return []
    names = problem.coordinates[:-1]
    laplace = {f"u_{name}{name}": 1.0 for name in names}
    plane = PDEProblem(laplace, domain=domain.shape, coordinates=names, **data)
    sampled = sample_problem(problem, 0, *PROBES)
    block = blocks_at(problem, sampled, units, known_parameters(problem))[0]
    at = in_space(block.parts[0])
    units = units._replace(box=Box(units.box.centre[:-1], units.box.half[:-1]))
    found = special_features(plane, units, at)
    bend = at.operator.hessian
    if bend is None:
        return found
    # a step in time makes what falls from a hole as the modified Bessel functions do
    steep = -np.median(np.trace(bend, axis1=1, axis2=2)) / 2
    for number in FALLS_OFF:
        of_u = np.full(len(at.points), steep * number**2)
        falling = at._replace(operator=at.operator._replace(value=of_u))
        more = special_features(plane, units, falling)
        found += [one for one in more if isinstance(one, BesselFeatures)]
    return found


def integrate(
    evolution: Evolution,
    tolerance: float,
    clock: Clock,
    last: bool,
    report: Callable[[str], object],
) -> Round | None:
    """Follow functions over time.

    Args:
      evolution: the functions.
      tolerance: largest relative residual of the solution.
      clock: stops it.
      last: whether there is no round with more functions.
      report: is told how far it is.

    Returns:
      The solution up to the time that was reached; None where there was no step.
    """
    problem, units = evolution.problem, evolution.units
    points = anywhere(units.box.places(evolution.at(-1.0).points))
    begin = evaluate("initial", problem.initial, points, problem, evolution.parameters) / units.u
    if not evolution.free:
        return None
    free = evolution.project(-1.0, begin)
    # the largest possible error of u, as a root mean square over space
    error = EXACT * tolerance * max(rms(begin), np.sqrt(tolerance))
    solver = Radau(
        evolution.rate,
        -1.0,
        free,
        1.0,
        rtol=1e-12,
        atol=error / np.sqrt(len(free)),
        jac=evolution.jacobian,
    )
    times, parts = [-1.0], []
    number = evolution.into.shape[0]
    for _ in range(MOST_STEPS):
        with np.errstate(all="ignore"):
            solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            break
        dense = solver.dense_output()
        parts.append(np.stack([dense.y_old, *dense.Q.T]))
        times.append(solver.t)
        report(f"{number} functions, {(1 + solver.t) / 2:.0%} of the time")
        if solver.status == "finished" or clock.stops():
            break
        off, size = evolution.residual(solver.t, solver.y)
        if not last and rms(off) > LOST * rms(size):
            break
    if not parts:
        return None
    found, knots = np.stack(parts), np.array(times)
    return Round(
        evolution, Lines(evolution.space.features, knots, evolution.weights(knots, found)), found
    )


def growth(one: Round) -> float:
    """Return how much u may change for a change of equation and data by 1, as weighted.

    The change of u by a change of the equation that differs everywhere, and is worst, is the root
    of the largest eigenvalue of the solution of Lyapunov's differential equation. It is followed by
    implicit steps of Euler.

    Args:
      one: a solution by not too many functions.
    """
    evolution = one.evolution
    begin, end = one.lines.times[0], one.reached
    times = np.linspace(begin, end, LOOKS + 1)
    step = times[1] - times[0]
    for time in times[:: LOOKS // 2]:
        fastest = np.max(linalg.eigvals(evolution.jacobian(time, one.at(time))).real)
        if fastest * (end - begin) > np.log(HOPELESS):
            return np.inf
    identity = np.eye(evolution.free)
    spread, carried = np.zeros_like(identity), identity
    sizes, most = [], 1.0
    for time in times[1:]:
        least = float(np.min(np.abs(evolution.at(time).of_time)))
        inverse = linalg.inv(identity - step * evolution.jacobian(time, one.at(time)))
        spread = inverse @ (spread + step / least**2 * identity) @ inverse.T
        carried = inverse @ carried
        sizes.append(largest(spread))
        most = max(most, np.sqrt(largest(carried @ carried.T)))
    # a root mean square over all of the time, which is as long as begin and end are apart
    return max(np.sqrt((end - begin) * np.mean(sizes)), most / BOUNDARY_WEIGHT)


def largest(symmetric: Float[np.ndarray, "n n"]) -> float:
    """The largest eigenvalue of a matrix that has none below 0."""
    last = len(symmetric) - 1
    return float(linalg.eigvalsh(symmetric, subset_by_index=[last, last])[0])
