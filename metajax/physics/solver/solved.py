"""What is known of a solution when it has been found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.estimate import Residual
from metajax.physics.solver.fitting import (
    Rounds,
    misses,
    rms,
    values_of,
)
from metajax.physics.solver.lines import number_of
from metajax.physics.solver.review import Reviewed
from metajax.physics.solver.solution import Solution, WindowedSolution
from metajax.physics.solver.verdict import Trust, Verdict, assess
from metajax.physics.solver.windows import Window


class Solved(NamedTuple):
    """A solution on a grid and as a function, with its verdict and its residuals.

    Attributes:
      u: the solution on the grid; NaN outside the closed domain. ``[row, column]`` is ``(y, x)``,
        and ``[z, y, x]`` in space.
      residual: of the equation, likewise.
      axes: the coordinates of the nodes, those of x first.
      residual_rms: root mean square of the residual at points that were not fitted.
      dirichlet_rms: of the boundary data's error there; NaN where there are none.
      neumann_rms: likewise.
      source_rms: root mean square of the source, to compare the residual with.
      scale: the largest frequency of the sines along any coordinate, in radians for half the extent
        of the domain; NaN without any.
      features: how many functions are combined.
      verdict: ``reliable`` where no check found a problem, ``check`` where the solution may be
        wrong, ``failed`` where it probably is.
      warnings: the reasons to doubt it.
      error: the estimated root mean square of its error, over that of u.
      left: its residual in the equation and in each kind of data at points that were not fitted.
      solution: it, as a function.
      rounds: all solutions by ever more features, the one before the last among them; those of the
        worst window where there are several.
      windows: of time, in which the problem was solved one after the other.
      until: the last time for which there is a solution; NaN without time. After it u is NaN.
    """

    u: Float[np.ndarray, "*size"]
    residual: Float[np.ndarray, "*size"]
    axes: tuple[Float[np.ndarray, " size"], ...]
    residual_rms: float
    dirichlet_rms: float
    neumann_rms: float
    source_rms: float
    scale: float
    features: int
    verdict: Verdict
    warnings: tuple[str, ...]
    error: float
    left: tuple[Residual, ...]
    solution: Solution | WindowedSolution
    rounds: Rounds
    windows: int
    until: float

    def at(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Return u at points, in the person's units."""
        return self.solution.at(points)

    def gradient(self, points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Return the first derivatives of u at points, in the person's units."""
        return self.solution.gradient(points)


def assessed(window: Window, reviewed: Reviewed) -> Trust:
    """The verdict on a window's solution."""
    found, box = window.rounds, window.units.box
    before = found.before and (found.before.features, found.before.head.weights)
    seen = reviewed.within(box)
    return assess(found.fresh, found.best.features, found.best.head, before, seen)


def solved_by(
    windows: Sequence[Window],
    trust: Sequence[Trust],
    solution: Solution | WindowedSolution,
    grid: tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]],
    until: float,
    sines: bool,
) -> Solved:
    """Return what is known of a solution, with the verdict on its worst window.

    Args:
      windows: in which the problem was solved.
      trust: the verdict on each.
      solution: the solution, as a function.
      grid: the solution and its residual at nodes, and their coordinates.
      until: the last time for which there is a solution.
      sines: whether it has any.
    """
    order = list(get_args(Verdict))
    worst = max(
        range(len(trust)),
        key=lambda at: (order.index(trust[at].verdict), trust[at].estimate.relative),
    )
    reasons = tuple(dict.fromkeys(text for one in trust for text in one.reasons))
    units, found = windows[worst].units, windows[worst].rounds
    best = found.best
    whole = units.equation * units.u
    off = [
        misses(block, values_of(block, best.features, best.head.weights))[0]
        for block in found.fresh
    ]

    def missed(*kinds: str) -> float:
        named = zip(found.fresh, off, strict=True)
        parts = [part for block, part in named if block.name.startswith(kinds)]
        return units.u * rms(np.concatenate(parts)) if parts else np.nan

    return Solved(
        *grid,
        whole * rms(off[0]),
        missed("dirichlet", "initial"),
        missed("neumann"),
        whole * rms(found.fresh[0].target),
        float(np.max(best.scale)) if sines else np.nan,
        number_of(best.features, best.head.weights),
        trust[worst].verdict,
        reasons,
        # what is wrong at the end of a window is wrong in those after it
        sum(one.estimate.relative for one in trust),
        trust[worst].left,
        solution,
        found,
        len(windows),
        until,
    )
