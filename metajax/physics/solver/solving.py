"""Solve one problem, and say how far the result can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, get_args

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key
from tqdm.auto import tqdm

from metajax.core import ConfigError, cast_floats
from metajax.physics.pde import PDE, Boundary, Shape, on_host
from metajax.physics.solver.clock import Clock
from metajax.physics.solver.collocation import (
    PROBES,
    Sampled,
    Units,
    anywhere,
    blocks_at,
    nonlinear_in_units,
    operator_at,
    sample_problem,
    units_of,
)
from metajax.physics.solver.continuation import CONVERGED, along_parameter
from metajax.physics.solver.diffused import combine_diffused
from metajax.physics.solver.estimate import Residual
from metajax.physics.solver.evolution import can_evolve
from metajax.physics.solver.evolving import evolve
from metajax.physics.solver.fitting import (
    FRESH,
    Combine,
    Fitted,
    Make,
    Rounds,
    Take,
    Use,
    combine_linear,
    left_of,
    misses,
    rms,
    rounds,
    values_of,
)
from metajax.physics.solver.interfaces import (
    Parts,
    PartSines,
    fill_parts,
    interface_blocks,
    parts_of,
    unit_box,
)
from metajax.physics.solver.jet_features import JetFeatures
from metajax.physics.solver.lapack import HostHead
from metajax.physics.solver.layers import Layer, fill_layers, layer_features, layers_of
from metajax.physics.solver.least_squares import Features
from metajax.physics.solver.lines import number_of
from metajax.physics.solver.nonlinear import combine_nonlinear
from metajax.physics.solver.operators import Block, terms
from metajax.physics.solver.patches import Patch, patch_points
from metajax.physics.solver.points import Box, contains, distance, inward
from metajax.physics.solver.problem import PDEProblem, as_problem
from metajax.physics.solver.review import Finding, Reviewed, review
from metajax.physics.solver.ridge_functions import FeatureSet, sine_features
from metajax.physics.solver.singular import special_features
from metajax.physics.solver.solution import Solution, WindowedSolution
from metajax.physics.solver.values import evaluate, known_parameters
from metajax.physics.solver.verdict import DoubtfulSolutionWarning, Trust, Verdict, assess
from metajax.physics.solver.waves import smooth_solutions
from metajax.physics.solver.windows import UNRESOLVED, Window, end_of_time, joined, march

TOLERANCE = 1e-6
"""Largest relative residual of equation and data."""
MOST_SECONDS = 300.0
"""Seconds that a solve may take."""
POINTS = 4096, 2048
"""Interior and boundary points of a problem that hypernetworks read and are tuned on."""
PATIENCE = 2.0
"""Seconds after which progress is shown."""
LOOKED = 256, 64
"""Points inside and on the boundary at which an equation's coefficients are looked at."""
CLOSE = 1e-6
"""How far outside a point may be and still count as one of the boundary, in units."""
BORDER = 2
"""Points of the boundary for each one that is added close below it."""
UNBOUNDED = 2.0
"""Size of the source close to the boundary, over that inside, up to which it counts as bounded."""
CLOSER = 12
"""Points of the boundary that are drawn for each one, of which those in patches are kept."""
NEIGHBORS = 64
"""Directions in which the inside is looked for around a point of the boundary."""
Given = Callable[[Key[Array, ""]], Features]
"""``given(key) -> features``, made for a problem when it has been reviewed."""


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
    order = list(get_args(Verdict))
    worst = max(
        range(len(trust)),
        key=lambda at: (order.index(trust[at].verdict), trust[at].estimate.relative),
    )
    reasons = tuple(dict.fromkeys(text for one in trust for text in one.reasons))
    for text in reasons:
        warnings.warn(text, DoubtfulSolutionWarning, stacklevel=stacklevel)
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
        u,
        residual,
        axes,
        whole * rms(off[0]),
        missed("dirichlet", "initial"),
        missed("neumann"),
        whole * rms(found.fresh[0].target),
        float(np.max(best.scale)) if head and features else np.nan,
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


def about_end(time: str, until: float, end: float, seconds: float) -> str:
    """Say that a solution ends before the last time."""
    return (
        f"time ran out after {seconds:g} s: the solution ends at {time} = {until:.4g} of "
        f"{end:.4g}, and u is NaN after that; allow more"
    )


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


class Taken(NamedTuple):
    """How a problem is taken at points.

    Attributes:
      take: takes it at some.
      units: of the points and of u.
      parts: of the domain, between interfaces; None where there are none.
      layers: along its edges.
    """

    take: Take
    units: Units
    parts: Parts | None
    layers: list[Layer]


def taker(problem: PDEProblem) -> Taken:
    """How a problem is taken at points."""
    parameters = known_parameters(problem)
    units = units_of(problem, sample_problem(problem, 0, *PROBES), parameters)
    parts = parts_of(problem, units, parameters)
    layers = layers_of(problem, units, parameters)

    def take(
        seed: int,
        inside: int,
        edge: int,
        near: Sequence[Patch] = (),
        closer: int = 0,
        use: Use = "judge",
    ) -> tuple[Block, ...]:
        sampled = sample_problem(problem, seed, inside, edge)
        if near:
            sampled = sample_closer(problem, sampled, units.box, near, (seed, edge, closer))
        if use != "spread":
            sampled = fill_layers(problem, sampled, units, layers, seed)
        if parts is not None:
            sampled = fill_parts(problem, sampled, parts, seed)
        num = len(sampled.inside)
        if use == "fit" and not near:  # points in patches say where more are needed
            sampled = fill_border(problem, sampled, units.box, seed)
        equation, *data = blocks_at(problem, sampled, units, parameters)
        # those at the border take no weight from the others
        weight = equation.weight * np.sqrt(len(sampled.inside) / num)
        blocks = (equation._replace(weight=weight), *data)
        if parts is None:
            return blocks
        return (*blocks, *interface_blocks(problem, parts, units, parameters, seed, edge))

    return Taken(take, units, parts, layers)


def fill_border(problem: PDEProblem, sampled: Sampled, box: Box, seed: int) -> Sampled:
    """Add points close below the boundary, where those inside are fewest, in its corners above all.

    Args:
      problem: whose points they are.
      sampled: points of it.
      box: what units are.
      seed: of the points.
    """
    domain, rng = on_host(problem.domain), np.random.default_rng(seed)
    num, dimensions = sampled.inside.shape
    apart = 2 / num ** (1 / dimensions)
    edges = [edge for edge in sampled.edges if len(edge.points)]
    if not edges:
        return sampled
    points, normals = (
        np.concatenate([leaf[::BORDER] for leaf in leaves])
        for leaves in ([edge.points for edge in edges], [edge.normals for edge in edges])
    )
    points = points + apart * rng.random((len(points), 1)) * inward(box, normals)
    added = points[contains(domain, points)]
    # where the source is unbounded along the boundary, these points would outweigh all others
    parameters = known_parameters(problem)
    known, there = (
        np.abs(evaluate("source", problem.source, anywhere(at), problem, parameters, finite=False))
        for at in (sampled.inside, added)
    )
    if np.max(there, initial=0.0) > UNBOUNDED * np.max(known):
        return sampled
    return sampled._replace(inside=np.concatenate([sampled.inside, added]))


def sample_closer(
    problem: PDEProblem,
    sampled: Sampled,
    box: Box,
    near: Sequence[Patch],
    counts: tuple[int, int, int],
) -> Sampled:
    """Add points around patches, inside and on the boundary.

    Args:
      problem: whose points they are.
      sampled: points of it.
      box: what units are.
      near: the patches.
      counts: the seed, points of the boundary in all, and those inside around each patch.
    """
    seed, edge, closer = counts
    domain = on_host(problem.domain)
    inside = [box.places(points) for points in patch_points(near, closer, seed)]
    inside = [points[contains(domain, points)] for points in inside]
    many = sample_problem(problem, seed + 1, 1, CLOSER * edge)

    def close(points: Any) -> np.ndarray:
        where = box.units(points)
        return np.any([patch.near(where, 3.0) for patch in near], 0)

    edges = []
    for few, more in zip(sampled.edges, many.edges, strict=True):
        here = np.flatnonzero(close(more.points))[: 2 * closer]
        pairs: Any = zip(few, more, strict=True)
        joint: Any = [np.concatenate([a, b[here]]) for a, b in pairs]
        edges.append(Boundary(*joint))
    here = np.flatnonzero(close(many.begin))[: 2 * closer]
    return sampled._replace(
        inside=np.concatenate([sampled.inside, *inside]),
        edges=tuple(edges),
        begin=np.concatenate([sampled.begin, many.begin[here]]),
    )


def with_given(problem: PDEProblem, made: Features, find: partial[Window], head: bool) -> Window:
    """Solve a problem with features that are given, or take the only one for the solution."""
    exact = cast_floats(jax.device_get(made), np.float64)
    take, units, *_ = taker(problem)
    given = JetFeatures(exact, units.box.centre, units.box.half)
    if head:
        return find(problem, more=[given])
    return Window(problem, as_given(given, take, units, find.keywords["seed"]), units)


def assessed(window: Window, reviewed: Reviewed) -> Trust:
    """The verdict on a window's solution."""
    found, box = window.rounds, window.units.box
    before = found.before and (found.before.features, found.before.head.weights)
    seen = reviewed.within(box)
    return assess(found.fresh, found.best.features, found.best.head, before, seen)


def as_given(given: FeatureSet, take: Take, units: Units, seed: int) -> Rounds:
    """A solution that is a single feature, of the person's units, as if it had been found."""
    fresh = take(seed + 1, *FRESH)
    # what equations and data leave of u is taken to change u by as much
    head = HostHead(np.full(1, 1 / units.u), np.ones((1, 1)), np.full(1, units.u))
    left = left_of(fresh, given, head.weights)
    best = Fitted(given, head, np.full(len(units.box.half), np.nan), left)
    return Rounds(best, None, ((0, left),), fresh)


def on_grid(
    solution: Solution | WindowedSolution,
    problem: PDEProblem,
    bounds: Float[np.ndarray, "2 d"] | None,
    size: int | None,
) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], str | None]:
    """The solution and the residual on a grid, its nodes, and where the source is not finite."""
    domain, parameters = on_host(problem.domain), known_parameters(problem)
    box = solution.units.box
    lower, upper = (box.centre - box.half, box.centre + box.half) if bounds is None else bounds
    count = size or (129 if len(lower) == 2 else 33)
    axes = tuple(np.linspace(a, b, count) for a, b in zip(lower, upper, strict=True))
    # the last coordinate is the first axis
    mesh = np.stack(np.meshgrid(*reversed(axes), indexing="ij")[::-1], -1)
    nodes = mesh.reshape(-1, len(axes))
    inside = in_closed_domain(domain, box, nodes)
    where = nodes[inside]
    values = solution.values(where)
    at, known = anywhere(where), np.isfinite
    source = evaluate("source", problem.source, at, problem, parameters, finite=False)
    operator = operator_at(problem, where, parameters, finite=False)
    with np.errstate(all="ignore"):
        left = np.sum(terms(operator, values), 0) - source
    if problem.nonlinear is not None:
        plain = Units(unit_box(len(axes)), 1.0, 1.0)
        added = nonlinear_in_units(problem, plain, parameters)
        left = left + added(where, values.u, values.gradient)
    u, residual = np.full(len(nodes), np.nan), np.full(len(nodes), np.nan)
    u[inside], residual[inside] = values.u, left
    lacking = None
    if not known(source).all():
        node = np.flatnonzero(~known(source))[0]
        names = zip(problem.coordinates, where[node], strict=True)
        place = ", ".join(f"{name} = {number:.4g}" for name, number in names)
        lacking = f"source is {source[node]} at {place}: it has no residual there"
    return u.reshape(mesh.shape[:-1]), residual.reshape(mesh.shape[:-1]), axes, lacking


def in_closed_domain(
    domain: Shape, box: Box, points: Float[np.ndarray, "n d"]
) -> Bool[np.ndarray, " n"]:
    """Return whether points belong to a domain or its boundary.

    Args:
      domain: on the host.
      box: around it.
      points: where.
    """
    inside = contains(domain, points)
    # the distance is at most the true one, and 0 also where the boundaries of two shapes coincide
    near = np.flatnonzero(~inside & (distance(domain, points) <= CLOSE * box.half.max()))
    if len(near):
        rng = np.random.default_rng(0)
        steps = rng.standard_normal((NEIGHBORS, points.shape[1]))
        steps *= 2 * CLOSE * box.half / np.linalg.norm(steps, axis=1, keepdims=True)
        around = points[near][:, None] + steps[None]
        found = contains(domain, around.reshape(-1, points.shape[1]))
        inside[near] = found.reshape(len(near), -1).any(1)
    return inside
