"""Solve one problem, and say how far the result can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jaxtyping import Array, Key
from tqdm.auto import tqdm

from metajax.core import ConfigError
from metajax.physics.pde import PDE
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import (
    PROBES,
    sample_problem,
    units_of,
)
from metajax.physics.solver.continuation import CONVERGED, along_parameter
from metajax.physics.solver.finding import find_rounds, over_time, with_given
from metajax.physics.solver.least_squares import Features
from metajax.physics.solver.nodes import on_grid
from metajax.physics.solver.problem import PDEProblem, as_problem
from metajax.physics.solver.review import Finding, review
from metajax.physics.solver.solved import Solved, assessed, solved_by
from metajax.physics.solver.values import known_parameters
from metajax.physics.solver.verdict import DoubtfulSolutionWarning
from metajax.physics.solver.windows import end_of_time, joined

TOLERANCE = 1e-6
"""Largest relative residual of equation and data."""
MOST_SECONDS = 300.0
"""Seconds that a solve may take."""
POINTS = 4096, 2048
"""Interior and boundary points of a problem that hypernetworks read and are tuned on."""
PATIENCE = 2.0
"""Seconds after which progress is shown."""
Given = Callable[[Key[Array, ""]], Features]
"""``given(key) -> features``, made for a problem when it has been reviewed."""


def solve(
    problem: PDEProblem | PDE,
    *,
    tolerance: float = TOLERANCE,
    features: int = 2000,
    size: int | None = None,
    seed: int = 0,
    given: Given | None = None,
    head: bool = True,
    continuation: tuple[str, float] | None = None,
    most_seconds: float = MOST_SECONDS,
    progress: bool = False,
    stacklevel: int = 2,
) -> Solved:
    """Solve a problem by least squares over ever more features, in float64 on the CPU.

    Args:
      problem: what is solved.
      tolerance: largest relative residual of the equation and of the data at points that were not
        fitted. Features are added until it is reached or nothing more is gained.
      features: sines at most; the last solve takes time as their cube. 0 with ``given``: none.
      size: nodes along a side of the grid that is returned; by default 129, and 33 in space.
      seed: of features and points.
      given: makes more features for the least squares; of problems in the plane.
      head: whether the features' combination is solved for. Otherwise ``given`` makes a single one,
        which is the solution, and is judged like any other.
      continuation: a parameter of a nonlinear problem, and a value for which it is easy. Where the
        problem is not solved at once, it is solved step by step from that value.
      most_seconds: of work. Then the best solution so far is returned, and where it is in doubt or
        ends before the last time, a warning says that time ran out. Infinite: no end.
      progress: whether to show what is done.
      stacklevel: of the warnings, as in ``warnings.warn``; 2: they name the line of the call.

    Returns:
      The solution with its residual and warnings.

    Raises:
      ConfigError: ``features`` below 1 where none are given, ``size`` below 2, a ``tolerance`` or
        ``most_seconds`` that is not above 0, no ``head`` where nothing is given; source or data
        that are not finite somewhere in the domain, or no data on its boundary.

    Warns:
      DoubtfulSolutionWarning: each of the solution's ``warnings``.
    """
    if features < (0 if given and head else 1):
        raise ConfigError("features", features, "1 or more")
    if size is not None and size < 2:
        raise ConfigError("size", size, "2 or more")
    if not tolerance > 0:
        raise ConfigError("tolerance", tolerance, "above 0")
    if not most_seconds > 0:
        raise ConfigError("most_seconds", most_seconds, "above 0")
    if given is None and not head:
        raise ConfigError("head", head, "True where no solution is given")
    clock = Clock(most_seconds)
    shape = "{desc}, {elapsed}"
    with tqdm(disable=not progress, leave=False, delay=PATIENCE, bar_format=shape) as bar:

        def report(text: str) -> None:
            bar.set_description_str(text, refresh=False)  # which the delay does not hold for
            bar.update()

        report("review of the problem")
        stated = as_problem(problem)
        reviewed = review(stated)
        report("points")
        find = partial(
            find_rounds,
            tolerance=tolerance,
            features=features,
            seed=seed,
            clock=clock,
            report=report,
        )
        if given is not None:
            report("given features")
            made = given(jax.random.split(jax.random.key(seed), 3)[1])
            windows = [with_given(stated, made, find, head)]
        elif stated.time is None:
            windows = [find(stated)]
            failed = windows[0].rounds.best.left.worst > CONVERGED
            if failed and continuation is not None and stated.nonlinear is not None:
                windows = [along_parameter(stated, *continuation, find)]
        else:
            windows = over_time(stated, find)
        report("solution")
        units = units_of(stated, sample_problem(stated, 0, *PROBES), known_parameters(stated))
        axis = -1 if stated.time is None else stated.coordinates.index(stated.time)
        solution = joined(windows, axis, units)
        square = np.array([[-1.0, -1.0], [1.0, 1.0]])
        bounds = square if isinstance(problem, PDE) else None
        u, residual, axes, lacking = on_grid(solution, stated, bounds, size)
        report("verdict")
        findings = list(reviewed.findings)
        if lacking:
            findings.append(Finding(lacking))
        until = end = np.nan
        if stated.time is not None:
            until, end = (end_of_time(one.domain, axis) for one in (windows[-1].problem, stated))
            if until < end:
                findings.append(Finding(about_end(stated.time, until, end, most_seconds), True))
        if not np.isfinite(u[~np.isnan(residual)]).all():
            findings.append(Finding("u is not finite everywhere in the domain", True))
        reviewed = reviewed._replace(findings=tuple(findings))
        trust = [assessed(window, reviewed) for window in windows]
    if clock.stopped and not until < end:
        late = f"time ran out after {most_seconds:g} s; allow more, and more functions are tried"
        trust = [
            one._replace(reasons=(*one.reasons, late)) if one.reasons else one for one in trust
        ]
    sines = head and features > 0
    found = solved_by(windows, trust, solution, (u, residual, axes), until, sines)
    for text in found.warnings:
        warnings.warn(text, DoubtfulSolutionWarning, stacklevel=stacklevel)
    return found


def about_end(time: str, until: float, end: float, seconds: float) -> str:
    """Say that a solution ends before the last time."""
    return (
        f"time ran out after {seconds:g} s: the solution ends at {time} = {until:.4g} of "
        f"{end:.4g}, and u is NaN after that; allow more"
    )
