"""Find a solution of a problem: in one window, over time, or from given features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import jax
import numpy as np
from jaxtyping import Float

from metajax.core import cast_floats
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import (
    Units,
)
from metajax.physics.solver.diffused import combine_diffused
from metajax.physics.solver.domain_parts import PartSines
from metajax.physics.solver.evolution import can_evolve
from metajax.physics.solver.evolving import evolve
from metajax.physics.solver.fitting import (
    FRESH,
    Combine,
    Fitted,
    Make,
    Rounds,
    Take,
    combine_linear,
    left_of,
    rounds,
)
from metajax.physics.solver.jet_features import JetFeatures
from metajax.physics.solver.lapack import HostHead
from metajax.physics.solver.layers import layer_features
from metajax.physics.solver.least_squares import Features
from metajax.physics.solver.nonlinear import combine_nonlinear
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import FeatureSet, sine_features
from metajax.physics.solver.singular import special_features
from metajax.physics.solver.taking import taker
from metajax.physics.solver.waves import smooth_solutions
from metajax.physics.solver.windows import UNRESOLVED, Window, end_of_time, march

LOOKED = 256, 64
"""Points inside and on the boundary at which an equation's coefficients are looked at."""


def find_rounds(
    problem: PDEProblem,
    *,
    give_up: float = np.inf,
    most: int | None = None,
    reach: Float[np.ndarray, " d"] | None = None,
    start: Window | None = None,
    tolerance: float,
    features: int,
    seed: int,
    clock: Clock | None = None,
    report: Callable[[str], object],
    more: Sequence[FeatureSet] = (),
) -> Window:
    """Solve a problem in one window.

    Args:
      problem: the problem.
      give_up: as :func:`rounds` takes it, and the others too.
      most: sines at most, if less than ``features``.
      reach: likewise.
      start: the solution of nearly the same problem, for a nonlinear one.
      tolerance: likewise.
      features: sines at most.
      seed: of points and features.
      clock: likewise.
      report: is told what is done.
      more: features other than sines.
    """
    take, units, parts, layers = taker(problem)
    looked = take(seed, *LOOKED)[0]
    special = special_features(problem, units, looked.parts[0], parts) if features else []
    special += layer_features(layers, seed)
    if features and problem.nonlinear is None and not np.any(looked.target):
        special += smooth_solutions(looked.parts[0].operator, len(problem.coordinates))
    make: Make = sine_features if parts is None else PartSines(parts)
    combined: Combine = combine_linear
    if problem.nonlinear is not None:
        # over time, what is not found at once is followed from its beginning
        way = combine_diffused if problem.time is None else combine_nonlinear
        combined = partial(way, clock=clock)
    near = None
    if start is not None:
        head = start.rounds.best.head
        weights = head.weights * (start.units.u / units.u)
        near = start.rounds.best._replace(head=head._replace(weights=weights))
    found = rounds(
        take,
        len(problem.coordinates),
        tolerance=tolerance,
        most=features if most is None else min(most, features),
        reach=reach,
        start=near,
        seed=seed,
        solve=combined,
        clock=clock,
        more=[*more, *special],
        give_up=give_up,
        report=report,
        make=make,
    )
    return Window(problem, found, units)


def over_time(problem: PDEProblem, find: partial[Window]) -> list[Window]:
    """Solve a problem in time by sines of space and time, or else by functions of space alone.

    Args:
      problem: the problem.
      find: solves one in one window.

    Returns:
      The windows.
    """
    window = find(problem, give_up=UNRESOLVED)
    left = window.rounds.best.left.worst
    if left <= UNRESOLVED:
        return [window]
    clock = find.keywords["clock"]
    followed = evolve(problem, **find.keywords) if can_evolve(problem) else None
    if followed is not None:
        axis = len(problem.coordinates) - 1
        ends = {end_of_time(one.domain, axis) for one in (problem, followed.problem)}
        if clock.stopped or len(ends) == 1:
            return [followed if followed.rounds.best.left.worst < left else window]
    return march(problem, find, clock)


def with_given(problem: PDEProblem, made: Features, find: partial[Window], head: bool) -> Window:
    """Solve a problem with features that are given, or take the only one for the solution."""
    exact = cast_floats(jax.device_get(made), np.float64)
    take, units, *_ = taker(problem)
    given = JetFeatures(exact, units.box.centre, units.box.half)
    if head:
        return find(problem, more=[given])
    return Window(problem, as_given(given, take, units, find.keywords["seed"]), units)


def as_given(given: FeatureSet, take: Take, units: Units, seed: int) -> Rounds:
    """A solution that is a single feature, of the person's units, as if it had been found."""
    fresh = take(seed + 1, *FRESH)
    # what equations and data leave of u is taken to change u by as much
    head = HostHead(np.full(1, 1 / units.u), np.ones((1, 1)), np.full(1, units.u))
    left = left_of(fresh, given, head.weights)
    best = Fitted(given, head, np.full(len(units.box.half), np.nan), left)
    return Rounds(best, None, ((0, left),), fresh)
