"""Nonlinear problems: Gauss-Newton steps on the combination of features, with a line search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from metajax.physics.solver.clock import Clock
from metajax.physics.solver.fitting import Fitted
from metajax.physics.solver.lapack import HostHead, host_least_squares
from metajax.physics.solver.operators import Block, Operator, design
from metajax.physics.solver.ridge_functions import FeatureSet, combine

STEP = 1e-4
"""Of the differences that give derivatives of a nonlinear part, relative to what is varied."""
STENCIL = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
"""Offsets and weights of a difference whose error is of fourth order."""
MOST_STEPS, HALVINGS = 30, 12
"""Steps of a solve, and halvings of one, at most."""
ENOUGH = 0.99
"""Part of the sum of squares that is left by a step after which there is another one."""
PATH = 40
"""Solves on the way to the whole nonlinear part at most."""


class State(NamedTuple):
    """A function as nonlinear equations see it.

    Attributes:
      linear: weighted, what the linear parts of all rows make of it.
      nonlinear: for each block u and its gradient; None where the block is linear.
    """

    linear: Float[np.ndarray, " rows"]
    nonlinear: list[tuple[np.ndarray, np.ndarray] | None]

    def toward(self, other: State, part: float) -> State:
        """Go a part of the way to another function."""

        def between(one: np.ndarray, two: np.ndarray) -> np.ndarray:
            return (1 - part) * one + part * two

        pairs = zip(self.nonlinear, other.nonlinear, strict=True)
        mixed = [
            None if a is None or b is None else (between(a[0], b[0]), between(a[1], b[1]))
            for a, b in pairs
        ]
        return State(between(self.linear, other.linear), mixed)


class Table(NamedTuple):
    """Rows of features for the blocks of a problem.

    Attributes:
      blocks: of the problem.
      factors: of the rows of each.
      linear: of the linear parts, weighted.
      targets: weighted.
      nonlinear: for each nonlinear block u and the derivatives of all features, not weighted.
    """

    blocks: Sequence[Block]
    factors: list[float]
    linear: Float[np.ndarray, "rows num"]
    targets: Float[np.ndarray, " rows"]
    nonlinear: list[list[np.ndarray] | None]

    def state(self, weights: Float[np.ndarray, " num"]) -> State:
        """Return a combination of the features."""
        found: list[tuple[np.ndarray, np.ndarray] | None] = []
        for one in self.nonlinear:
            if one is None:
                found.append(None)
            else:
                u, *slopes = (rows @ weights for rows in one)
                found.append((u, np.stack(slopes, 1)))
        return State(self.linear @ weights, found)

    def left(self, state: State) -> Float[np.ndarray, " rows"]:
        """Return by how much a function misses the weighted equations."""
        off, row = state.linear - self.targets, 0
        for block, factor, there in zip(self.blocks, self.factors, state.nonlinear, strict=True):
            num = len(block.target)
            if there is not None:
                off[row : row + num] += factor * block.nonlinear(block.parts[0].points, *there)
            row += num
        return off

    def linearized(self, state: State) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and targets of the linear problem that is nearest around a function."""
        rows, targets, row = self.linear.copy(), self.targets.copy(), 0
        several = zip(self.blocks, self.factors, state.nonlinear, self.nonlinear, strict=True)
        for block, factor, there, features in several:
            here = slice(row, row + len(block.target))
            row = here.stop
            if there is None or features is None:
                continue
            u, gradient = there
            value, slopes = derivatives(block, u, gradient)
            constant = block.nonlinear(block.parts[0].points, u, gradient)
            constant = constant - value * u - np.sum(slopes * gradient, 1)
            targets[here] -= factor * constant
            for part, one in zip((value, *slopes.T), features, strict=True):
                if np.any(part):
                    rows[here] += (factor * part)[:, None] * one
        return rows, targets


def tabulate(blocks: Sequence[Block], features: FeatureSet) -> Table:
    """Compute features for the blocks of a problem."""
    factors = [float(block.weight / np.sqrt(len(block.target))) for block in blocks]
    pairs = list(zip(blocks, factors, strict=True))
    nonlinear: list[list[np.ndarray] | None] = []
    for block in blocks:
        if block.nonlinear is None:
            nonlinear.append(None)
            continue
        points = block.parts[0].points
        num, dimensions = points.shape
        along = [np.tile(one, (num, 1)) for one in np.eye(dimensions)]
        operators = [Operator(np.ones(num)), *(Operator(None, one) for one in along)]
        nonlinear.append([features(points, operator) for operator in operators])
    return Table(
        blocks,
        factors,
        np.concatenate([factor * design(block, features) for block, factor in pairs]),
        np.concatenate([factor * block.target for block, factor in pairs]),
        nonlinear,
    )


def derivatives(
    block: Block, u: Float[np.ndarray, " n"], gradient: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n d"]]:
    """Return the derivatives of a block's nonlinear part by u and by its gradient.

    They are differences of fourth order, good to about 1e-11: JAX would compile for seconds.

    Args:
      block: a nonlinear one.
      u: at its points.
      gradient: likewise.
    """
    points, call = block.parts[0].points, block.nonlinear
    step = STEP * max(1.0, float(np.max(np.abs(u))))
    value = sum(weight * call(points, u + at * step, gradient) for at, weight in STENCIL) / step
    slopes = np.empty_like(gradient)
    for axis in range(gradient.shape[1]):
        one = np.zeros(gradient.shape[1])
        one[axis] = step = STEP * max(1.0, float(np.max(np.abs(gradient[:, axis]))))
        found = sum(weight * call(points, u, gradient + at * one) for at, weight in STENCIL)
        slopes[:, axis] = found / step
    return value, slopes


class Converged(NamedTuple):
    """What Gauss-Newton found.

    Attributes:
      head: the combination of features, with the factor of the last linear problem.
      left: root of the sum of squares that is left at the start and after each step.
      done: whether it ended because there is nothing more to gain.
    """

    head: HostHead
    left: tuple[float, ...]
    done: bool


def gauss_newton(
    table: Table, start: State | HostHead, most: int = MOST_STEPS, clock: Clock | None = None
) -> Converged | None:
    """Combine features for a nonlinear problem.

    Each step solves the linear problem that is nearest around the function so far, and is halved
    until less is left.

    Args:
      table: of the features.
      start: a function, which need not be a combination of these features, or one that is.
      most: steps at most.
      clock: stops it after the first step; None: nothing does.

    Returns:
      The combination that the last step found; None where not even the first was possible.
    """
    head = start if isinstance(start, HostHead) else None
    state = table.state(start.weights) if isinstance(start, HostHead) else start
    size = length(table.left(state))
    lefts = [size]
    done = False
    for _ in range(most):
        rows, targets = table.linearized(state)
        if not (np.isfinite(rows).all() and np.isfinite(targets).all()):
            break
        new = host_least_squares(rows, targets)
        reached = table.state(new.weights)
        found, part = length(table.left(reached)), 1.0
        while head is not None and not found < size and part > 0.5**HALVINGS:
            part /= 2
            found = length(table.left(state.toward(reached, part)))
        if head is not None and not found < size:
            # at a solution, what is left of the linear problem is what is left
            done = length(rows @ new.weights - targets) > ENOUGH * size
            break
        # between a function of other features and a combination of these there is none
        mixed = new.weights if head is None else (1 - part) * head.weights + part * new.weights
        done = part == 1 and ENOUGH * size < found < size / ENOUGH
        head, size = new._replace(weights=mixed), found
        state = table.state(mixed)
        lefts.append(size)
        if done or (clock is not None and clock.stops()):
            break
    return None if head is None else Converged(head, tuple(lefts), done)


def length(values: np.ndarray) -> float:
    """The length of a vector; infinite where it is not finite."""
    found = float(np.linalg.norm(values))
    return found if np.isfinite(found) else np.inf


def combine_nonlinear(
    blocks: Sequence[Block],
    features: FeatureSet,
    before: Fitted | None = None,
    clock: Clock | None = None,
) -> HostHead:
    """Return the best combination of features for a problem that may be nonlinear.

    Where Gauss-Newton does not converge from the solution before, or from that of the linear part
    alone, the nonlinear part is brought in little by little.

    Args:
      blocks: of the problem.
      features: that are combined.
      before: a solution to start from.
      clock: stops the search for a solution; None: nothing does.
    """
    clock = clock or Clock()
    table = tabulate(blocks, features)
    if before is not None:
        found = gauss_newton(table, state_of(table, before), clock=clock)
        if found is not None and (found.done or clock.stops()):
            return found.head
    linear = host_least_squares(table.linear, table.targets)
    found = gauss_newton(table, linear, clock=clock)
    if found is not None and found.done:
        return found.head
    return by_path(table, linear, clock) or (linear if found is None else found.head)


def by_path(table: Table, linear: HostHead, clock: Clock) -> HostHead | None:
    """The solution by way of ever larger shares of the nonlinear part; None where there is none."""
    head, share, step = linear, 0.0, 0.25
    for _ in range(PATH):
        if clock.stops():
            return None
        aim = min(share + step, 1.0)
        blocks = [scaled(block, aim) for block in table.blocks]
        found = gauss_newton(table._replace(blocks=blocks), head, clock=clock)
        if found is not None and found.done:
            head, share, step = found.head, aim, 2 * step
            if share == 1:
                return head
        else:
            step /= 2
    return None


def scaled(block: Block, share: float) -> Block:
    """A block with a share of its nonlinear part."""
    call = block.nonlinear
    if call is None:
        return block

    def part(*there: np.ndarray) -> np.ndarray:
        return share * call(*there)

    return block._replace(nonlinear=part)


def state_of(table: Table, solution: Fitted) -> State:
    """A solution by other features as the equations see it."""
    features, weights = solution.features, solution.head.weights
    linear: list[np.ndarray] = []
    nonlinear: list[tuple[np.ndarray, np.ndarray] | None] = []
    for block, factor in zip(table.blocks, table.factors, strict=True):
        linear.append(factor * (design(block, features) @ weights))
        if block.nonlinear is None:
            nonlinear.append(None)
        else:
            there = combine(features, block.parts[0].points, weights)
            nonlinear.append((there.u, there.gradient))
    return State(np.concatenate(linear), nonlinear)
