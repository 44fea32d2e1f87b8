"""A problem in time as ordinary differential equations for the weights of functions of space.

The functions are combinations of features that fulfill the conditions on the boundary. They are
orthonormal at points of space, so that the residual of the equation is orthogonal to all of them
(Galerkin's method).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import linalg

from metajax.physics.pde import Boundary, Rectangle
from metajax.physics.solver.collocation import (
    Sampled,
    Units,
    anywhere,
    blocks_at,
    sample_problem,
)
from metajax.physics.solver.lines import split
from metajax.physics.solver.nonlinear import derivatives, length
from metajax.physics.solver.operators import Array, At, Block, Operator
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import (
    FeatureSet,
    Joined,
    One,
    RidgeFunctions,
    counted,
    sine_features,
)
from metajax.physics.solver.solids import Extruded
from metajax.physics.solver.values import known_parameters

POINTS = 2.0, 2.5
"""Points inside for each feature, on a line and in a plane."""
SPACED, RATIO = 2.5, 0.8
"""Distance between frequencies on a line, and the largest one in a plane over the root of their
number."""
EDGE = 2
"""Points of the boundary for each feature, in a plane."""
DEPENDENT = 1e-8
"""Length over the longest below which a combination of features is left away."""
ROUNDED = 1e-8
"""Derivative of the nonlinear part, relative to all of them, that counts as 0."""
VANISHING = 1e-3
"""Least coefficient of the derivative by time, over the largest."""
HELD = 1e-6
"""Change of the boundary's data, over the largest, that functions may make which fulfill them."""
REMEMBERED = 12
"""Times of which equation and data are kept: each step of the integration has few, many times."""
NEAR = 1e-4
"""Step in time of the difference that is a rate of data, in units."""


class Space(NamedTuple):
    """Features of space, with points that tell them apart.

    Attributes:
      features: of points in space, in units.
      points: in units, evenly all over the domain.
    """

    features: FeatureSet
    points: Float[np.ndarray, "n s"]

    @property
    def root(self) -> float:
        """Root of the share of the domain that a point stands for."""
        return len(self.points) ** -0.5


class Moment(NamedTuple):
    """The equation and the data at a time, at the points of a space.

    Attributes:
      points: in space and time.
      of_time: the coefficient of the derivative by time.
      operator: the linear part in space.
      source: the right-hand side.
      data: of all boundary conditions.
    """

    points: Float[np.ndarray, "n d"]
    of_time: Float[np.ndarray, " n"]
    operator: Operator
    source: Float[np.ndarray, " n"]
    data: Float[np.ndarray, " m"]


def can_evolve(problem: PDEProblem) -> bool:
    """Whether a problem is one for :class:`Evolution`.

    It has a first derivative by time, the last coordinate, alone. Its domain is the same at all
    times.

    Args:
      problem: any.
    """
    time, names = problem.time, problem.coordinates
    if time is None or names[-1] != time or problem.initial_velocity is not None:
        return False
    second = {f"u_{name}{time}" for name in names} & set(problem.coefficients)
    if second or f"u_{time}" not in problem.coefficients:
        return False
    return isinstance(problem.domain, Rectangle if len(names) == 2 else Extruded)


def draw_space(
    problem: PDEProblem,
    units: Units,
    num: int,
    special: Sequence[FeatureSet],
    seed: int,
) -> Space:
    """Return features of space, and points for them.

    Args:
      problem: that is solved.
      units: of the whole problem.
      num: sines.
      special: more features.
      seed: of sines and points.
    """
    dimensions = len(problem.coordinates) - 1
    periodic = [problem.coordinates.index(name) for name in problem.periodic]
    if dimensions == 1:
        spacing = np.pi if periodic else SPACED
        frequencies = spacing * np.arange(1, num // 2 + 1)
        phases = np.repeat([0.0, np.pi / 2], len(frequencies))
        sines = RidgeFunctions(np.tile(frequencies, 2)[None], phases, "sin")
    else:
        sines = sine_features(num, np.full(dimensions, RATIO * num ** (1 / dimensions)), seed)
        directions = np.array(sines.directions)
        directions[periodic] = np.pi * np.round(directions[periodic] / np.pi)
        sines = replace(sines, directions=directions)
    features = Joined((One(), sines, *special))
    if dimensions == 1:
        ends = np.linspace(-1, 1, int(POINTS[0] * num) + 1)
        points = (ends[1:, None] + ends[:-1, None]) / 2
    else:
        more = sum(counted(part, dimensions) for part in special)
        sampled = sample_problem(problem, seed, int(POINTS[1] * (num + more)), 64)
        points = units.box.units(sampled.inside)[:, :-1]
    return Space(features, points)


class Evolution:
    """The rate of the weights of functions of space.

    It is not ``usable`` where the conditions change with time other than by their data, where the
    nonlinear part depends on the derivative by time, or where the latter's coefficient vanishes.

    Args:
      problem: one that :func:`can_evolve`.
      units: of the whole problem.
      space: features and points.
      seed: of the points of the boundary.
    """

    def __init__(self, problem: PDEProblem, units: Units, space: Space, seed: int) -> None:
        self.problem, self.units, self.space = problem, units, space
        self.parameters = known_parameters(problem)
        self.static = replace(problem, initial=0.0)
        num = len(space.points)
        sampled = sample_problem(problem, seed, 1, max(EDGE * num, 64))
        inside = np.concatenate([space.points, np.zeros((num, 1))], 1)
        self.sampled = Sampled(
            units.box.places(inside),
            tuple(different(one, units) for one in sampled.edges),
            sampled.begin[:0],
            tuple(different(anywhere(one), units).points for one in sampled.periodic),
        )
        first, later, last = (self._blocks(time) for time in (-1.0, 0.123, 1.0))
        self.call = first[0].nonlinear
        others = (later, last)
        self.steady_operator = same_operators(first[:1], later[:1], last[:1])
        self.steady_data = all(same_targets(first[1:], one[1:]) for one in others)
        self.steady = (
            self.steady_operator
            and self.steady_data
            and all(same_targets(first[:1], one[:1]) for one in others)
        )
        slopes: list[Any] = [block[0].parts[0].operator.gradient for block in (first, *others)]
        rates = [one[:, -1] for one in slopes]
        size = np.abs(rates)
        self.usable = (
            same_operators(first[1:], later[1:], last[1:])
            and bool(np.all(np.sign(rates) == np.sign(rates[0][0])))
            and bool(np.min(size) > VANISHING * np.max(size))
        )
        self._span(first[1:])
        self._moments: dict[float, Moment] = {}
        self.slopes = False
        if self.call is not None:
            rng = np.random.default_rng(0)
            points = self.at(0.0).points
            u, gradient = rng.normal(size=num), rng.normal(size=points.shape)
            both = derivatives(self._block(points), u, gradient)
            # differences of equal values are not 0, but rounding
            depends = np.max(np.abs(both[1]), 0) > ROUNDED * max(map(length, both))
            self.slopes = bool(np.any(depends[:-1]))
            self.usable &= not depends[-1]

    def _blocks(self, time: float) -> tuple[Block, ...]:
        """The equation and the conditions at a time."""
        box = self.units.box
        when = box.centre[-1] + box.half[-1] * time

        def then(points: Array) -> Array:
            found = np.array(points)
            found[:, -1] = when
            return found

        sampled = Sampled(
            then(self.sampled.inside),
            tuple(one._replace(points=then(one.points)) for one in self.sampled.edges),
            self.sampled.begin,
            tuple(then(points) for points in self.sampled.periodic),
        )
        blocks = blocks_at(self.static, sampled, self.units, self.parameters)
        return tuple(block for block in blocks if len(block.target))

    def _span(self, conditions: Sequence[Block]) -> None:
        """Find the functions that fulfill the conditions, and others by which data are met."""
        features, points = self.space
        root = self.space.root
        columns = root * features(points, Operator(np.ones(len(points))))
        length = np.linalg.norm(columns, axis=0)
        length = np.where(length > 0, length, 1.0)
        _, sizes, axes = linalg.svd(columns / length, full_matrices=False, overwrite_a=True)
        kept = sizes > DEPENDENT * sizes[0]
        into = axes[kept].T / sizes[kept] / length[:, None]
        rows, largest = [], 0.0
        for block in conditions:
            parts = [features(*in_space(part)) @ into for part in block.parts]
            factor = 1 / np.sqrt(len(block.target))
            rows.append(factor * sum(parts[1:], start=parts[0]))
            largest = max(largest, *(factor * float(np.linalg.norm(one, 2)) for one in parts))
        self.lifted = np.zeros((0, 0))
        self.into = into
        if rows:
            left, held, right = linalg.svd(np.concatenate(rows), full_matrices=True)
            num = int(np.sum(held > HELD * largest))
            factors = np.concatenate(
                [np.full(len(block.target), len(block.target) ** -0.5) for block in conditions]
            )
            self.lifted = left[:, :num].T * factors / held[:num, None]
            self.into = into @ np.concatenate([right[num:], right[:num]]).T
        self.free = self.into.shape[1] - len(self.lifted)

    def table(self, operator: Operator) -> Float[np.ndarray, "n num"]:
        """Return an operator applied to all functions: free ones, then those that meet data."""
        return self.space.features(self.space.points, operator) @ self.into

    @cached_property
    def values(self) -> Float[np.ndarray, "n num"]:
        """All functions at the points."""
        return self.table(Operator(np.ones(len(self.space.points))))

    @cached_property
    def gradients(self) -> list[Float[np.ndarray, "n num"]]:
        """Their derivatives."""
        return [self.table(Operator(None, one)) for one in self._along]

    @cached_property
    def bends(self) -> dict[tuple[int, int], Float[np.ndarray, "n num"]]:
        """Their second derivatives."""
        ones = self._along
        return {
            (i, j): self.table(Operator(None, None, a[:, :, None] * b[:, None, :]))
            for i, a in enumerate(ones)
            for j, b in enumerate(ones)
            if i <= j
        }

    @property
    def _along(self) -> list[np.ndarray]:
        num, dimensions = self.space.points.shape
        return [np.tile(one, (num, 1)) for one in np.eye(dimensions)]

    @cached_property
    def tests(self) -> Float[np.ndarray, "n free"]:
        """The free functions, orthonormal and weighted once."""
        return self.space.root * self.values[:, : self.free]

    def _block(self, points: np.ndarray) -> Block:
        """The nonlinear part at points, alone."""
        return Block("", (At(points, Operator()),), points[:, 0], 1.0, self.call)

    def at(self, time: float) -> Moment:
        """Return the problem at a time."""
        if self.steady and self._moments:
            known = next(iter(self._moments.values()))
            points = known.points.copy()
            points[:, -1] = time
            return known._replace(points=points)
        if time not in self._moments:
            if len(self._moments) == REMEMBERED:
                del self._moments[next(iter(self._moments))]
            blocks = self._blocks(time)
            part = blocks[0].parts[0]
            targets = [block.target for block in blocks[1:]]
            rate: Any = part.operator.gradient
            self._moments[time] = Moment(
                part.points,
                rate[:, -1],
                in_space(part).operator,
                blocks[0].target,
                np.concatenate(targets) if targets else np.zeros(0),
            )
        return self._moments[time]

    def linear(
        self, operator: Operator, weights: Float[np.ndarray, " num"] | None = None
    ) -> Float[np.ndarray, "n *num"]:
        """Return the linear part in space, applied to all functions or to a combination of them."""

        def of(table: np.ndarray, factor: np.ndarray) -> np.ndarray:
            return factor[:, None] * table if weights is None else factor * (table @ weights)

        found = np.zeros_like(self.values) if weights is None else np.zeros(len(self.values))
        if operator.value is not None:
            found += of(self.values, operator.value)
        if operator.gradient is not None:
            for axis, table in enumerate(self.gradients):
                if np.any(operator.gradient[:, axis]):
                    found += of(table, operator.gradient[:, axis])
        if operator.hessian is not None:
            for (i, j), table in self.bends.items():
                both = operator.hessian[:, i, j] + (i != j) * operator.hessian[:, j, i]
                if np.any(both):
                    found += of(table, both)
        return found

    @cached_property
    def _steady_linear(self) -> tuple[np.ndarray, np.ndarray]:
        """The linear part over the coefficient of time, and what the tests make of it."""
        moment = self.at(0.0)
        rows = self.linear(moment.operator) / moment.of_time[:, None]
        return rows, self.tests.T @ (self.space.root * rows)

    def whole(self, moment: Moment, free: np.ndarray) -> Float[np.ndarray, " num"]:
        """Return the weights of all functions, those that meet data included."""
        if not len(self.lifted):
            return free
        return np.concatenate([free, self.lifted @ moment.data])

    def weights(
        self, knots: Float[np.ndarray, " knots"], free: Float[np.ndarray, "steps 4 free"]
    ) -> Float[np.ndarray, "steps 4 num"]:
        """Return the features' weights of polynomials in time whose free weights are given.

        Args:
          knots: when each polynomial begins, and the last one ends.
          free: of powers of the part of a step that has passed.
        """
        if not len(self.lifted):
            return free @ self.into.T
        steps, powers = len(free), free.shape[1]
        if self.steady_data:
            met = np.zeros((steps, powers, len(self.lifted)))
            met[:, 0] = self.lifted @ self.at(0.0).data
        else:
            part = np.linspace(0, 1, powers)
            there = knots[:-1, None] + np.diff(knots)[:, None] * part
            data = np.stack([self.at(time).data for time in there.ravel()])
            lifted = (data @ self.lifted.T).reshape(steps, powers, -1)
            met = np.array(np.linalg.solve(np.vander(part, increasing=True), lifted))
        return np.concatenate([free, met], 2) @ self.into.T

    def state(self, moment: Moment, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return u and its derivatives, as far as the nonlinear part depends on them."""
        gradient = np.zeros_like(moment.points)
        if self.slopes:
            for axis, table in enumerate(self.gradients):
                gradient[:, axis] = table @ weights
        return self.values @ weights, gradient

    def rate(self, time: float, free: np.ndarray) -> Float[np.ndarray, " free"]:
        """Return how fast the free weights change."""
        moment = self.at(time)
        weights = self.whole(moment, free)
        off = moment.source
        if self.call is not None:
            off = off - self.call(moment.points, *self.state(moment, weights))
        if self.steady_operator:
            rates = self.tests.T @ (self.space.root * off / moment.of_time)
            return rates - self._steady_linear[1] @ weights
        off = off - self.linear(moment.operator, weights)
        return self.tests.T @ (self.space.root * off / moment.of_time)

    def jacobian(self, time: float, free: np.ndarray) -> Float[np.ndarray, "free free"]:
        """Return the derivative of the rates by the weights."""
        moment = self.at(time)
        if self.steady_operator:
            found = -self._steady_linear[1][:, : self.free]
        else:
            rows = self.linear(moment.operator)[:, : self.free]
            found = -self.tests.T @ ((self.space.root / moment.of_time)[:, None] * rows)
        if self.call is None:
            return found
        state = self.state(moment, self.whole(moment, free))
        value, slopes = derivatives(self._block(moment.points), *state)
        rows = value[:, None] * self.values[:, : self.free]
        if self.slopes:
            for axis, table in enumerate(self.gradients):
                rows += slopes[:, axis, None] * table[:, : self.free]
        rows *= (self.space.root / moment.of_time)[:, None]
        return found - self.tests.T @ rows

    def project(self, time: float, u: Float[np.ndarray, " n"]) -> Float[np.ndarray, " free"]:
        """Return the free weights of the function that is nearest to values at the points."""
        moment = self.at(time)
        known = self.values @ self.whole(moment, np.zeros(self.free))
        return self.tests.T @ (self.space.root * (u - known))

    def residual(self, time: float, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what no free function can remove of the equation, and the size of its terms."""
        moment = self.at(time)
        weights = self.whole(moment, free)
        if self.steady_operator:
            linear = self._steady_linear[0] @ weights
        else:
            linear = self.linear(moment.operator, weights) / moment.of_time
        off, size = moment.source / moment.of_time - linear, np.abs(linear)
        if self.call is not None:
            more = self.call(moment.points, *self.state(moment, weights)) / moment.of_time
            off, size = off - more, size + np.abs(more)
        size = size + np.abs(moment.source / moment.of_time)
        if len(self.lifted) and not self.steady_data:
            begin, end = max(time - NEAR, -1.0), min(time + NEAR, 1.0)
            change = self.lifted @ (self.at(end).data - self.at(begin).data) / (end - begin)
            off = off - self.values[:, self.free :] @ change
        left = off - self.values[:, : self.free] @ (self.tests.T @ (self.space.root * off))
        return left, size + np.abs(off)


def in_space(part: At) -> At:
    """A part of a block without time."""
    return At(part.points[:, :-1], split(part.operator)[0])


def different(at: Boundary, units: Units) -> Boundary:
    """Points of the boundary at different places of space."""
    where = np.round(units.box.units(at.points)[:, :-1], 12)
    _, index = np.unique(where, axis=0, return_index=True)
    return Boundary(*(leaf[np.sort(index)] for leaf in at))


def same_operators(*several: Sequence[Block]) -> bool:
    """Whether blocks at several times have equal operators."""
    pairs = [
        (a, b)
        for other in several[1:]
        for block, then in zip(several[0], other, strict=True)
        for part, later in zip(block.parts, then.parts, strict=True)
        for a, b in zip(part.operator, later.operator, strict=True)
    ]
    found = [(a, b) for a, b in pairs if a is not b]
    return all(a is not None and b is not None and np.array_equal(a, b) for a, b in found)


def same_targets(blocks: Sequence[Block], others: Sequence[Block]) -> bool:
    """Whether blocks at two times have equal targets."""
    pairs = zip(blocks, others, strict=True)
    return all(np.array_equal(one.target, other.target) for one, other in pairs)
