"""The verdict on a solution, reliable, check or failed, with its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from metajax.physics.solver.estimate import Estimate, Residual, estimate, residuals, trimmed
from metajax.physics.solver.lapack import HostHead
from metajax.physics.solver.lines import number_of
from metajax.physics.solver.operators import Block
from metajax.physics.solver.reasons import (
    SENSITIVE,
    about_free,
    about_jumps,
    about_residual,
    jumps,
)
from metajax.physics.solver.review import Reviewed
from metajax.physics.solver.ridge_functions import FeatureSet

Verdict = Literal["reliable", "check", "failed"]
"""Verdicts: no check found a problem, the solution may be wrong, or it probably is."""
ACCURATE, USELESS = 0.01, 1.0
"""Estimated relative errors above which a solution has to be checked, and above which it failed."""
MISSED = 0.3
"""Relative residual of the equation, or of data, above which a solution failed."""
TINY = np.finfo(float).tiny
HOPELESS = 1e6
"""Sensitivity above which a solution failed, unless its estimated error is small."""
NEGLIGIBLE = 1e-4
"""Largest relative error through the residual for which the residual does not matter."""


class DoubtfulSolutionWarning(UserWarning):
    """A check found a reason to doubt a solution."""


class Trust(NamedTuple):
    """How far a solution can be trusted.

    Attributes:
      verdict: ``reliable``, ``check`` or ``failed``.
      reasons: to doubt the solution; empty where it is reliable.
      estimate: of its error.
      left: its residual in each block at points that were not fitted.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    estimate: Estimate
    left: tuple[Residual, ...]


def assess(
    fresh: Sequence[Block],
    features: FeatureSet,
    head: HostHead,
    before: tuple[FeatureSet, np.ndarray] | None,
    reviewed: Reviewed,
) -> Trust:
    """Judge a solution by what is known when it has been found.

    Args:
      fresh: the problem at points that were not fitted; the first block is the equation.
      features: of the solution.
      head: their combination, with the factor of the last least squares.
      before: another solution of the same problem, with fewer or other features; None: there is
        none.
      reviewed: what was found before it was solved, in the units of ``fresh``.

    Returns:
      The verdict, its reasons, and what they are found from.
    """
    person = reviewed.box.places
    left = residuals(fresh, features, head.weights)
    found = estimate(fresh[0].parts[0].points, features, head, left, before)
    findings = sorted(reviewed.findings, key=lambda finding: not finding.fatal)
    texts = [finding.text for finding in findings]
    fatal = any(finding.fatal for finding in reviewed.findings)
    finite = bool(np.isfinite(found.u).all())
    if not finite:
        return Trust("failed", (*texts, "u is not finite everywhere in the domain"), found, left)
    free, contradiction = about_free(found, left, person)
    if not texts or (contradiction and not fatal):
        texts = [*free, *texts]
    off = {one.name: trimmed(one.off) / max(trimmed(one.size), TINY) for one in left}
    if found.by_residual <= NEGLIGIBLE:
        # all terms may be 0, and the residual mere rounding
        off = dict.fromkeys(off, 0.0)
    missed = {name: share for name, share in off.items() if share > ACCURATE}
    doubtful = found.relative > ACCURATE or bool(missed)
    if doubtful and found.sensitivity <= SENSITIVE:
        edges, corners, number = reviewed.edges, reviewed.corners, number_of(features, head.weights)
        discontinuous = about_jumps(jumps(edges), person)
        texts += discontinuous or [about_residual(left, fresh[0], edges, corners, person, number)]
        texts += about_missed(missed)
    if doubtful and found.relative > ACCURATE:
        size = f"{found.relative:.1%} of its size" if found.relative < 1 else "more than its size"
        texts.append(f"the error of u is estimated as {size}")
    hopeless = SENSITIVE if reviewed.findings else HOPELESS
    undetermined = found.sensitivity > hopeless and found.relative > ACCURATE
    useless = found.relative > USELESS or max(off.values()) > MISSED
    if fatal or contradiction or undetermined or useless:
        return Trust("failed", tuple(texts), found, left)
    return Trust("check" if texts else "reliable", tuple(texts), found, left)


def about_missed(missed: Mapping[str, float]) -> list[str]:
    """Say which equations do not hold at points that were not fitted, without the worst 2%.

    Args:
      missed: the relative residuals, by the blocks' names.
    """
    texts: list[str] = []
    kinds: dict[str, list[str]] = {}
    for name, share in missed.items():
        kind, _, piece = name.partition(" on ")
        if kind == "equation":
            texts.append(f"the equation does not hold: its residual is {share:.1%} of its terms")
        else:
            kinds.setdefault(kind, []).append(f"{share:.1%}" + (f" on {piece}" if piece else ""))
    for kind, shares in kinds.items():
        texts.append(f"{kind} does not hold: the solution misses the data by {', '.join(shares)}")
    return texts
