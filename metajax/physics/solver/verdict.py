"""What a solution is worth: what it leaves of the equation and of the data, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from metajax.physics.pde import Finding, Piece, Points

Verdict = Literal["reliable", "check", "failed"]
"""Of a solution: nothing speaks against it, it may be wrong, or it cannot be right."""
ACCURATE = 0.01
"""Relative error above which a second digit is in doubt."""
SENSITIVE = 1000.0
"""Change of u, for a change of the data by 1, above which they hardly determine it.

It is .4 to 9 for the benchmarks, 4e4 for heat backward in time and 1e7 or more at a resonance, with
initial data missing, or without data on a side.
"""


class DoubtfulSolutionWarning(UserWarning):
    """Something speaks against a solution."""


class PointErrors(NamedTuple):
    """A solution at points that were not fitted.

    Attributes:
      residual: of the equation.
      terms: the sum of the sizes of the equation's terms, to compare the residual with.
      u: the solution, inside.
      edge: the solution on the boundary, less u where it is given.
      flux: du/dn on the boundary, less what is given.
      slope: the length of the solution's gradient on the boundary.
    """

    residual: Float[Array, " interior"]
    terms: Float[Array, " interior"]
    u: Float[Array, " interior"]
    edge: Float[Array, " boundary"]
    flux: Float[Array, " boundary"]
    slope: Float[Array, " boundary"]


def rms(values: ArrayLike, mask: ArrayLike | None = None) -> float:
    """Root mean square of the values that ``mask`` admits; NaN where it admits none."""
    taken = np.asarray(values) if mask is None else np.asarray(values)[np.asarray(mask)]
    return float(np.sqrt(np.mean(taken**2))) if taken.size else np.nan


def rms_without_worst(values: ArrayLike) -> float:
    """Root mean square of all values but the hundredth that is largest.

    The residual at the one point that is nearest to a corner may be many times that everywhere
    else; whether such a point was drawn says little about the solution.
    """
    squared = np.sort(np.asarray(values) ** 2)
    return float(np.sqrt(np.mean(squared[: len(squared) - len(squared) // 100])))


def judge(
    findings: Sequence[Finding],
    errors: PointErrors,
    points: Points,
    pieces: Sequence[Piece],
    sensitivity: np.ndarray,
    finite: bool,
) -> tuple[Verdict, tuple[str, ...]]:
    """Judge a solution.

    Args:
      findings: of :func:`metajax.physics.pde.review`.
      errors: what the solution leaves at points that were not fitted.
      points: these points.
      pieces: of the domain.
      sensitivity: the most that u may change at points for a change of the data by 1.
      finite: whether the solution is finite everywhere in the domain.

    Returns:
      The verdict, and what speaks against the solution, by name.
    """
    texts = [finding.text for finding in findings]
    if not finite:
        return "failed", (*texts, "u is not finite everywhere in the domain")
    left, terms = rms_without_worst(errors.residual), rms_without_worst(errors.terms)
    if left > ACCURATE * terms:
        texts.append(
            f"the equation does not hold: its residual is {left / terms:.1%} of its terms, in the "
            "root mean square at points that were not fitted, without the hundredth that is worst"
        )
    piece = np.asarray(points.boundary.piece)
    for kind, off, given, there, size in (
        ("dirichlet", errors.edge, points.dirichlet, points.dirichlet_mask, errors.u),
        ("neumann", errors.flux, points.neumann, points.neumann_mask, errors.slope),
    ):
        mask = np.asarray(there)
        if not mask.any():
            continue
        whole = max(rms(size), rms(given, mask))
        missed: dict[str, float] = {}
        for number in np.unique(piece[mask]):
            apart, name = rms(off, mask & (piece == number)), pieces[number].names[-1]
            if apart > ACCURATE * whole:
                missed[name] = max(missed.get(name, 0.0), apart / whole)
        if missed:
            by = ", ".join(f"{share:.1%} on {name}" for name, share in missed.items())
            texts.append(f"{kind} does not hold: the solution misses the data by {by}")
    most = float(np.max(sensitivity, initial=0.0))
    if most > SENSITIVE:
        texts.append(
            f"the data hardly determine u: it may change {most:.1e} times as much as they do, "
            "rather than about 10 times at most"
        )
    if any(finding.fatal for finding in findings):
        return "failed", tuple(texts)
    return ("check" if texts else "reliable"), tuple(texts)
