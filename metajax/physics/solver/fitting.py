"""Rounds of ever more features, until what they leave at fresh points is small or falls no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.clock import Clock
from metajax.physics.solver.lapack import HostHead, room_for, solve_stacked
from metajax.physics.solver.operators import Block, Values, design, terms, times
from metajax.physics.solver.patches import NARROW, Patch, densities, patches_at, patches_of
from metajax.physics.solver.ridge_functions import (
    FeatureSet,
    Joined,
    One,
    combine,
    counted,
    put,
    sine_features,
)
from metajax.physics.solver.tabulated import Tabulated

FIRST = 160
"""Sines of the first round; each further one has twice as many, or fewer where these will do."""
INSIDE, EDGE, EDGE_MORE = 2.0, 0.75, 4.0
"""Points inside for each feature, and of the boundary for each sine and for each other one."""
FEWEST = 192
"""Points of the boundary at least, and half the points inside."""
RATIOS = (0.5, 0.8, 1.1)
"""Largest frequencies that are tried first, over the root of the number of features."""
GROW, TRADE = 1.35, 1.6
"""Factors from a scale to its neighbors: of all coordinates, and of one at others' cost."""
FRESH = 768, 384
"""Points inside and on the boundary at which solutions are judged."""
TRIES = {160: 12, 320: 7, 640: 4, 1280: 1}
"""Scales that are tried in a round, by its number of features; one in larger rounds."""
DEARER = 6.0
"""Time of a solve over that of one in the round before."""
SURE, LEAST = 4.0, 0.25
"""By how much the next round is to leave less than it may, and doublings of sines at least."""
FALLS = 1.5
"""What is left is divided by this in a round at least, or rounds stop."""
FAST = 8.0
"""By what it is divided in a round after which more sines are all that is needed."""
DEAR = 480
"""Features from which on other scales are tried only where what is left does not fall fast."""
GAIN = 0.95
"""Share of the objective below which the next scale in the same direction is worth a try."""
GIVEN_UP = (300, 30), (600, 1)
"""Features from which on a problem is given up that leaves so many times what it may."""
UNRESOLVED = 1e-3
"""Share that is left above which features may be too few for anything to fall yet."""

TINY = np.finfo(float).tiny
NOTHING = 1e-4
"""Size of terms, in units, below which what is left of them is rounding: data are of size 1."""

PROBES, CLOSER = 4096, 512
"""Points inside at which is looked where the residual is, in the whole domain and in a patch."""

Take = Callable[..., tuple[Block, ...]]
"""``take(seed, inside, edge, near, closer, use)``: the problem's blocks at so many points, and at
``closer`` more of them around each patch in ``near``; the last three may be left away. ``use`` is
one of :data:`Use`."""
Use = Literal["judge", "fit", "spread"]
"""What points are for: to judge solutions, to fit them, which takes more points near the boundary,
or to be spread evenly."""
Combine = Callable[[Sequence[Block], FeatureSet, "Fitted | None"], HostHead]
"""``solve(blocks, features, before)``: the best combination, from a solution before."""
Make = Callable[[int, np.ndarray, int], FeatureSet]
"""``make(num, scale, seed)``: sines, of largest frequencies along each coordinate."""


class Left(NamedTuple):
    """What a solution leaves at fresh points.

    Attributes:
      equation: root mean square of the residual, over that of the equation's terms, without the
        hundredth of the points that is worst.
      data: the largest share of any block of data, of what it would be for u and slopes as large as
        they are on the whole.
      objective: root of the sum of squares that a solve makes small.
    """

    equation: float
    data: float
    objective: float

    @property
    def worst(self) -> float:
        """The larger of both shares."""
        return max(self.equation, self.data)


class Fitted(NamedTuple):
    """Features with their best combination.

    Attributes:
      features: of the solution, in units.
      head: their combination.
      scale: the largest frequency of the sines along each coordinate.
      left: at fresh points.
    """

    features: FeatureSet
    head: HostHead
    scale: Float[np.ndarray, " d"]
    left: Left


class Rounds(NamedTuple):
    """Solutions by ever more features.

    Attributes:
      best: of all, by what is left.
      before: the best of the round before that of ``best``; None if there was but one.
      history: the number of features and what was left, of all rounds.
      fresh: the blocks at points that were not fitted.
      reach: the last scale, for a single sine; None where there are no sines.
    """

    best: Fitted
    before: Fitted | None
    history: tuple[tuple[int, Left], ...]
    fresh: tuple[Block, ...]
    reach: Float[np.ndarray, " d"] | None = None


def rms(values: np.ndarray) -> float:
    """Root mean square, 0 where there are no values."""
    return float(np.sqrt(np.mean(np.square(values)))) if values.size else 0.0


def without_worst(values: np.ndarray) -> float:
    """Root mean square of all but the hundredth of the values that is largest in size."""
    squared = np.sort(np.square(values))
    return float(np.sqrt(np.mean(squared[: len(squared) - len(squared) // 100])))


def values_of(block: Block, features: FeatureSet, weights: np.ndarray) -> list[Values]:
    """A solution at the points of each of a block's parts."""
    return [combine(features, part.points, weights) for part in block.parts]


def misses(
    block: Block, values: Sequence[Values]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Return by how much a solution misses a block's equations, and the sum of its terms' sizes.

    Args:
      block: the equations.
      values: of the solution at the points of each part.
    """
    found = [-np.asarray(block.target)]
    for part, there in zip(block.parts, values, strict=True):
        found += terms(part.operator, there)
    if block.nonlinear is not None:
        found.append(block.nonlinear(block.parts[0].points, values[0].u, values[0].gradient))
    return np.sum(found, 0), np.sum(np.abs(found), 0)


def left_of(blocks: Sequence[Block], features: FeatureSet, weights: np.ndarray) -> Left:
    """Return what a solution leaves of a problem.

    Args:
      blocks: of the problem at fresh points; the first is the equation.
      features: of the solution.
      weights: of the features.
    """
    inside = values_of(blocks[0], features, weights)
    off, size = misses(blocks[0], inside)
    trimmed = without_worst(off)
    objective = (blocks[0].weight * trimmed) ** 2
    equation = share(trimmed, max(without_worst(size), NOTHING))
    data = 0.0
    for block in blocks[1:]:
        missed, usual = data_left(block, features, weights, inside[0])
        data = max(data, share(missed, max(usual, NOTHING)))
        objective += (block.weight * missed) ** 2
    return Left(equation, data, float(np.sqrt(objective)))


def data_left(
    block: Block, features: FeatureSet, weights: np.ndarray, inside: Values
) -> tuple[float, float]:
    """Return by how much a solution misses data, and how large they might be.

    Args:
      block: the data.
      features: of the solution.
      weights: of the features.
      inside: the solution inside: 0 that is missed by little of this is no large miss.
    """
    off = design(block, features) @ weights - block.target
    whole, steep = rms(inside.u), np.sqrt(np.mean(inside.gradient**2, 0))
    value, slope, _ = block.parts[0].operator
    size = np.abs(block.target)
    size = size + (0.0 if value is None else np.abs(value) * whole)
    size = size + (0.0 if slope is None else np.abs(slope) @ steep)
    return rms(off), rms(size)


def share(part: float, whole: float) -> float:
    """A part of a whole; none of nothing."""
    return part / whole if whole > 0 else float(part > 0)


def weighted_rows(
    blocks: Sequence[Block], features: FeatureSet
) -> Float[np.ndarray, "more columns"]:
    """Return the linear parts of blocks as rows of the features' weights, with their targets.

    Args:
      blocks: of a problem.
      features: that are combined.

    Returns:
      The rows as :func:`solve_stacked` reads them.
    """
    dimensions = blocks[0].parts[0].points.shape[1]
    counts = [len(block.target) for block in blocks]
    stacked = room_for(sum(counts), counted(features, dimensions))
    ends = np.cumsum(counts)
    for block, count, end in zip(blocks, counts, ends, strict=True):
        factor = block.weight / np.sqrt(count)
        rows = stacked[end - count : end]
        rows[:, -1] = block.target * factor
        first, *others = block.parts
        put(features, first.points, times(first.operator, factor), rows[:, :-1])
        for part in others:
            rows[:, :-1] += features(part.points, times(part.operator, factor))
    return stacked


def combine_linear(
    blocks: Sequence[Block], features: FeatureSet, before: Fitted | None = None
) -> HostHead:
    """Return the best combination of features for a linear problem, whatever was before.

    Args:
      blocks: of the problem.
      features: that are combined.
      before: not used.
    """
    return solve_stacked(weighted_rows(blocks, features))


def rounds(
    take: Take,
    dimensions: int,
    *,
    tolerance: float,
    most: int,
    seed: int,
    solve: Combine = combine_linear,
    more: Sequence[FeatureSet] = (),
    give_up: float = np.inf,
    start: Fitted | None = None,
    reach: Float[np.ndarray, " d"] | None = None,
    clock: Clock | None = None,
    report: Callable[[str], object] = str,
    make: Make = sine_features,
) -> Rounds:
    """Solve a problem by rounds of ever more sines.

    The scale of the sines along each coordinate is searched for in the small rounds, which cost
    little: from the best so far to its neighbors, larger or smaller in all or along one coordinate.

    Args:
      take: the problem at points.
      dimensions: its coordinates.
      tolerance: share of the equation's terms, and of the data, that may be left.
      most: sines at most; 0: ``more`` alone.
      seed: of points and features.
      solve: combines features.
      more: features that are always there.
      give_up: share that is left after a few rounds above which there are no more.
      start: a solution of nearly the same problem, for a nonlinear one.
      reach: the scale that is tried first, as a solution before has it; None for the usual ones.
      clock: stops the rounds; None: nothing does.
      report: is told what is done.
      make: makes the sines.

    Returns:
      The solutions.
    """
    clock = clock or Clock()
    history: list[tuple[int, Left]] = []
    best, before = None, None
    probed = 0.0
    firsts = [np.full(dimensions, ratio) for ratio in RATIOS]
    starts = firsts if reach is None else [reach]
    numbers = [counted(part, dimensions) for part in more]
    extra = sum(numbers)
    size = min(FIRST, most)
    narrow = NARROW / max(most, 1) ** (1 / dimensions)
    patches = (
        patches_at(*probe(take, None, (), seed)[:3], (), size // 2, seed, narrow) if most else ()
    )
    if patches:
        # few points tell little of a peak's shape: those around what they found tell more
        if all(np.all(patch.ends) for patch in patches):
            where = probe(take, None, patches, seed)
            patches = patches_at(*where[:3], (), size // 2, seed, narrow) or patches
        starts = [np.concatenate([start, np.ones(dimensions)]) for start in starts]
        fresh = take(seed + 1, *FRESH, patches, FRESH[0] // len(patches))
    else:
        fresh = take(seed + 1, *FRESH)
    while True:
        local = sum(patch.num for patch in patches)
        num = size - local
        total = size + extra
        inside, edge = INSIDE * (num + extra), EDGE * num + EDGE_MORE * extra
        counts = max(int(inside), 2 * FEWEST), max(int(edge), FEWEST)
        if patches:
            each = int(INSIDE * local / len(patches))
            blocks = take(seed, *counts, patches, each, use="fit")
        else:
            blocks = take(seed, *counts, use="fit")
        added = tuple(map(Tabulated, more, numbers))
        at = Round(num, blocks, fresh, added, patches, seed, solve, best or start, make)
        report(f"least squares, {total} features")
        tries = next((count for size, count in TRIES.items() if total <= 1.5 * size), 1)
        tries = tries * (2 if patches else 1) if num else 1
        begun = clock.passed
        enough = tolerance
        if best is not None and len(starts) == 1 and total > DEAR:
            enough = max(tolerance, best.left.worst / FAST)
        found, reach = search(
            partial(attempt, at), starts, tries, tolerance, dimensions, clock, enough
        )
        took = (clock.passed - begun) / tries
        starts = [reach]
        history.append((total, found.left))
        fast = best is None or FALLS * found.left.worst < best.left.worst
        if best is None or found.left.worst < best.left.worst:
            best, before = found, best
        else:
            before = found
        hopeless = not fast and best.left.worst < UNRESOLVED
        given_up = any(total >= at and best.left.worst > part * give_up for at, part in GIVEN_UP)
        if size >= most or given_up or clock.stops(DEARER * took):
            return Rounds(best, before, tuple(history), fresh, reach[:dimensions])
        done = best.left.worst < tolerance or hopeless
        last = history[-2][1].worst if len(history) > 1 else np.inf
        following = min(size_after(size, found.left.worst, last, tolerance), most)
        # what a few points carry is not seen at those where solutions are judged
        if best is found and (not done or size <= 2 * FIRST):
            where = probe(take, best, patches, seed)
            if FAST * where.size < probed:  # more sines will do
                new = patches_of([patch.shape for patch in patches], following // 2, seed)
            else:
                new = patches_at(*where[:3], patches, following // 2, seed, narrow)
            probed = where.size
            if len(new) > len(patches):
                # the scale so far is that of what the first patches are now there for
                again = [reach[:dimensions]] if patches else firsts
                starts = [np.concatenate([start, np.ones(dimensions)]) for start in again]
                fresh = take(seed + 1, *FRESH, new, FRESH[0] // len(new))
                best = judged(best, fresh)
                before = before and judged(before, fresh)
                done = best.left.worst < tolerance
            patches = new
        if done:
            return Rounds(best, before, tuple(history), fresh, reach[:dimensions])
        size = following


def size_after(size: int, left: float, before: float, tolerance: float) -> int:
    """Return how many sines the next round has: twice as many, or fewer where these will do.

    Args:
      size: those of the last round.
      left: what they leave.
      before: what the round before left.
      tolerance: what may be left.
    """
    if not tolerance < left < before < np.inf:
        return 2 * size
    doublings = np.log(SURE * left / tolerance) / np.log(before / left)
    return int(size * 2 ** np.clip(doublings, LEAST, 1))


def judged(fitted: Fitted, fresh: Sequence[Block]) -> Fitted:
    """A solution with what it leaves at other fresh points."""
    return fitted._replace(left=left_of(fresh, fitted.features, fitted.head.weights))


class Probes(NamedTuple):
    """A solution's residual all over the domain.

    Attributes:
      points: where, in units.
      off: the residual.
      dense: how many points there are for a unit of volume.
      size: the root mean square of the residual at points that are spread evenly.
    """

    points: Float[np.ndarray, "n d"]
    off: Float[np.ndarray, " n"]
    dense: Float[np.ndarray, " n"]
    size: float


def probe(take: Take, found: Fitted | None, patches: tuple[Patch, ...], seed: int) -> Probes:
    """Look where a solution's residual is.

    Args:
      take: the problem at points.
      found: the solution; None: there is none yet, and the residual is the source.
      patches: that it has already, in which it is looked more closely.
      seed: of points.
    """
    evenly = take(seed + 2, PROBES, FEWEST, use="spread")[0]
    blocks, drawn = [evenly], []
    for place, patch in enumerate(patches):
        one = take(seed + 3 + place, 1, FEWEST, (patch,), CLOSER, use="spread")[0]
        blocks.append(one)
        drawn.append(len(one.target))
    off = []
    for block in blocks:
        if found is None:
            off.append(np.asarray(block.target))
        else:
            values = values_of(block, found.features, found.head.weights)
            off.append(misses(block, values)[0])
    points = np.concatenate([block.parts[0].points for block in blocks])
    dense = densities(points, len(evenly.target), patches, drawn)
    return Probes(points, np.concatenate(off), dense, rms(off[0]))


class Round(NamedTuple):
    """What the solves of one round have in common.

    Attributes:
      num: sines.
      blocks: that are fitted.
      fresh: at which solutions are judged.
      more: features other than sines.
      patches: where the residual is concentrated.
      seed: of the sines.
      solve: combines features.
      before: the best solution of the rounds before.
      make: makes the sines.
    """

    num: int
    blocks: tuple[Block, ...]
    fresh: tuple[Block, ...]
    more: tuple[Tabulated, ...]
    patches: tuple[Patch, ...]
    seed: int
    solve: Combine
    before: Fitted | None
    make: Make


def attempt(at: Round, reach: Float[np.ndarray, " d"]) -> Fitted:
    """Solve with sines of one scale.

    Args:
      at: the round.
      reach: the scale for a single sine; it grows as their number's root in all dimensions. Then,
        if there are patches, factors of their scales.

    Returns:
      The solution.
    """
    dimensions = at.fresh[0].parts[0].points.shape[1]
    scale = reach[:dimensions] * max(at.num, 1) ** (1 / dimensions)
    sines: tuple[FeatureSet, ...] = (at.make(at.num, scale, at.seed),) if at.num else ()
    sines += tuple(patch.rescaled(reach[dimensions:]) for patch in at.patches)
    tabulated = Joined((One(), *at.more, *sines))
    head = at.solve(at.blocks, tabulated, at.before)
    left = left_of(at.fresh, tabulated, head.weights)
    features = Joined((One(), *(part.features for part in at.more), *sines))
    return Fitted(features, head, scale, left)


def search(
    attempt: Callable[[Float[np.ndarray, " d"]], Fitted],
    starts: Sequence[Float[np.ndarray, " d"]],
    tries: int,
    tolerance: float,
    dimensions: int,
    clock: Clock,
    enough: float,
) -> tuple[Fitted, Float[np.ndarray, " d"]]:
    """Go from the best of some scales to ever better neighbors.

    Args:
      attempt: solves with a scale.
      starts: the first ones.
      tries: solves at most.
      tolerance: share that may be left; what leaves less is good enough.
      dimensions: of the problem; scales of patches come after those of its coordinates.
      clock: stops the search after the first scale.
      enough: share that may be left by one of ``starts``; the first one that leaves less is taken.

    Returns:
      The best solution, and its scale.
    """
    solved: list[tuple[Fitted, np.ndarray]] = []
    for start in starts[:tries]:
        solved.append((attempt(start), start))
        if solved[-1][0].left.worst < enough:
            return solved[-1]
        if clock.stops():
            break
    tries -= len(solved)
    best, reach = min(solved, key=objective_of)
    seen = [scale for _, scale in solved]
    moves = moves_of(dimensions)
    if len(reach) > dimensions:
        same = np.ones(dimensions)
        moves = [np.concatenate(pair) for move in moves for pair in ((same, move), (move, same))]
    place = 0
    failed = 0
    while tries > 0 and failed < len(moves) and best.left.worst >= tolerance:
        if clock.stops():
            break
        scale = reach * moves[place % len(moves)]
        tries -= 1
        gain = np.inf
        if not any(np.allclose(scale, other) for other in seen):
            seen.append(scale)
            tried = attempt(scale), scale
            before = objective_of((best, reach))
            gain = objective_of(tried) / max(before, TINY)
            if gain < 1:
                best, reach = tried
        if gain < GAIN:
            failed = 0
        else:
            failed, place = failed + 1, place + 1
    return best, reach


def objective_of(tried: tuple[Fitted, np.ndarray]) -> float:
    """What scales are judged by."""
    return tried[0].left.objective


def moves_of(dimensions: int) -> list[Float[np.ndarray, " d"]]:
    """Factors to a scale's neighbors: along one coordinate at the others' cost, and all alike."""
    found = []
    for sign in (1, -1):
        for place in range(dimensions if dimensions > 2 else dimensions - 1):
            power = np.full(dimensions, -1 / max(dimensions - 1, 1))
            power[place] = 1
            found.append(TRADE ** (sign * power))
    return [*found, np.full(dimensions, GROW), np.full(dimensions, 1 / GROW)]
