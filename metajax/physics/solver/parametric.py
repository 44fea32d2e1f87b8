"""Solutions as a differentiable function of a problem's parameters, for one problem or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, register_dataclass
from metajax.nn.solves import one_at_a_time
from metajax.physics.solver.coefficient_jumps import about_second
from metajax.physics.solver.moving_corners import Meeting, meetings, traced_corners
from metajax.physics.solver.moving_holes import round_holes
from metajax.physics.solver.moving_points import Places, box_around, draw_places, moving_blocks
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.optimum import (
    LAST,
    System,
    images_of,
    left_of,
    settle,
    solve_rows,
    step_from,
    system_of,
)
from metajax.physics.solver.points import Box
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.ridge_functions import FeatureSet, Joined, One, RidgeFunctions

Parameters = Any
"""Numbers and arrays in any pytree."""
SCALES = 1.5, 2.5, 4.0, 6.0, 10.0
"""Largest frequencies, in radians a unit, that are tried; that of the least residual is used."""
ADVICE = "take solve, or give features of your own: the slopes of random ones do not jump"


@register_dataclass
@dataclass(frozen=True)
class ParametricSolution:
    """A solution, to be evaluated anywhere in the domain.

    Attributes:
      features: that are combined.
      weights: of the features.
      box: around the domain, in which the features have their units.
      residual: of the equations at the points that were fitted, relative to their terms.
    """

    features: FeatureSet
    weights: Float[Array, " num"]
    box: Box
    residual: Float[Array, ""]

    def __call__(self, points: Float[Array, "n d"]) -> Float[Array, " n"]:
        """Return u.

        Args:
          points: in the problem's coordinates.
        """
        one = jnp.ones(points.shape[0], self.weights.dtype)
        return self._found(points, Operator(one))

    def gradient(self, points: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Return the derivatives of u by the coordinates.

        Args:
          points: in the problem's coordinates.
        """
        zero = jnp.zeros(points.shape, self.weights.dtype)
        along = [Operator(None, zero.at[:, place].set(1)) for place in range(points.shape[1])]
        return jnp.stack([self._found(points, one) for one in along], -1)

    def _found(self, points: Float[Array, "n d"], operator: Operator) -> Float[Array, " n"]:
        units = self.box.units(jnp.asarray(points, self.weights.dtype))
        return self.features(units, operator.scaled(self.box.half)) @ self.weights


@register_dataclass
@dataclass(frozen=True)
class Fixed:
    """What stays the same for all parameters.

    Attributes:
      places: where the problem is taken.
      features: that are combined.
      start: weights to begin with, where the equation is not linear.
      special: whether features of round holes and of corners, which move with these, are combined
        too. Static.
      corners: these. Static.
    """

    places: Places
    features: FeatureSet
    start: Float[Array, " num"]
    special: bool = field(metadata={"static": True})
    corners: tuple[Meeting, ...] = field(metadata={"static": True})

    def features_of(self, problem: PDEProblem) -> FeatureSet:
        """All features, for parameters that may be traced."""
        if not self.special:
            return self.features
        box = box_around(problem.domain)
        holes = round_holes(problem.domain, box)
        return Joined((self.features, *holes, *traced_corners(problem, box, self.corners)))


@dataclass(frozen=True, eq=False)
class ParametricSolver:
    """A function of parameters, made by :func:`solve_fn`.

    Attributes:
      scale: of the random features, in radians a unit; None where features were given.
      fixed: what stays the same for all parameters.
      fresh: where :meth:`residual` looks.
      program: the solution, of ``fixed`` and parameters.
      check: the residual of the equations, from places, a solution and parameters.
    """

    scale: float | None
    fixed: Fixed
    fresh: Places
    program: Callable[[Fixed, Parameters], ParametricSolution]
    check: Callable[[Places, ParametricSolution, Parameters], Array]

    def __call__(self, parameters: Parameters) -> ParametricSolution:
        """Return the solution.

        Args:
          parameters: like the example that the function was made with.

        Raises:
          ConfigError: not under ``float64_on_cpu()``.
        """
        return self.program(self.fixed, as_float64(parameters))

    def residual(self, parameters: Parameters) -> Float[Array, ""]:
        """Return the residual of the equations at points that were not fitted.

        It is relative to the equations' terms, as :attr:`ParametricSolution.residual` is.

        Args:
          parameters: like the example.
        """
        return self.check(self.fresh, self(parameters), as_float64(parameters))


def solve_fn(
    problem_of: Callable[[Parameters], PDEProblem],
    example: Parameters,
    *,
    features: int | FeatureSet = 200,
    points: tuple[int, int] | None = None,
    scale: float | None = None,
    seed: int = 0,
) -> ParametricSolver:
    """Make a pure function from a problem's parameters to its solution.

    ``jax.grad``, ``jax.vmap`` and ``jax.jit`` apply to it: coefficients, source, data, sizes and
    places of shapes may all depend on the parameters. Derivatives are those of the least-squares
    optimum by the implicit function theorem, also where the equation is not linear. It is meant for
    float64: make the function and call it, its gradients included, under
    :func:`metajax.core.float64_on_cpu`. It compiles once for all values of the parameters.

    Args:
      problem_of: from parameters to the problem, of ``jax.numpy``; its structure (terms, pieces
        that have data, kinds of shapes) has to be the same for all parameters.
      example: typical parameters. Its curves' lengths decide how the points are divided, its
        residual chooses the scale of the features, and Gauss-Newton starts from its solution.
      features: how many random ones, to which those of :class:`HoleFeatures` are added for every
        disk that is taken away from the domain, and those of :class:`MovingCorner` for every
        re-entrant corner; or given ones, in units: the box around the domain is from -1 to 1. A
        solve takes time as their square times the points.
      points: inside the box around the domain, and on its curves; by default three times and once
        as many as features.
      scale: of random features, in radians a unit; by default the best of ``SCALES``.
      seed: of features and points.

    Returns:
      ``function(parameters) -> solution``; ``solution(points)`` is u and
      ``solution.gradient(points)`` its gradient.

    Raises:
      ConfigError: not under ``float64_on_cpu()``, ``features`` or ``points`` below 1, a ``scale``
        that is not above 0, what is wrong with the example's problem, or no finite solution of it;
        random features where its coefficients of second derivatives jump, as u has slopes there
        that jump too.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.core import float64_on_cpu
      >>> from metajax.physics.solver import PDEProblem, solve_fn
      >>> def heated(source):
      ...     edges = {"left": 0, "right": 0, "bottom": 0, "top": 0}
      ...     return PDEProblem({"u_xx": 1, "u_yy": 1}, source=-source, dirichlet=edges)
      >>> with float64_on_cpu():
      ...     solution_of = solve_fn(heated, 1.0, features=100)
      ...     centre = jnp.zeros((1, 2))
      ...     slope = jax.grad(lambda source: solution_of(source)(centre)[0])(2.0)
      >>> print(f"{slope:.4f}")
      0.2947
    """
    example = as_float64(example)
    drawn = isinstance(features, int)
    if isinstance(features, int) and features < 1:
        raise ConfigError("features", features, "1 or more")
    if scale is not None and not (drawn and scale > 0):
        raise ConfigError("scale", scale, "above 0, or None where features are given")
    if points is not None and min(points) < 1:
        raise ConfigError("points", points, "two numbers, 1 or more")
    problem = problem_of(example)
    jump = about_second(problem) if drawn else None
    if jump is not None:
        expected = f"ones of second derivatives that do not jump, as they do {jump}; {ADVICE}"
        raise ConfigError("coefficients", problem.coefficients, expected)
    candidates: list[tuple[float | None, FeatureSet]] = []
    if isinstance(features, int):
        dimensions = len(problem.coordinates)
        for one in SCALES if scale is None else (scale,):
            candidates.append((one, random_waves(seed, dimensions, features, one)))
    else:
        candidates.append((None, features))

    at_origin = jnp.zeros((1, len(problem.coordinates)))
    count = candidates[0][1](at_origin, Operator(jnp.ones(1))).shape[1]
    domain = problem.domain
    holes = round_holes(domain, box_around(domain)) if drawn else ()
    count += sum(1 + 2 * hole.orders for hole in holes)
    corners = meetings(problem) if drawn else ()
    count += sum(2 * corner.orders for corner in corners)
    interior, boundary = points or (3 * count, count)
    places, fresh = (draw_places(problem, one, interior, boundary) for one in (seed, seed + 2))

    def program(fixed: Fixed, parameters: Parameters) -> ParametricSolution:
        return solution_at(problem_of, fixed, parameters)

    def check(places: Places, solution: ParametricSolution, parameters: Parameters) -> Array:
        system = system_of(moving_blocks(problem_of(parameters), places), solution.features)
        return relative(system, solution.weights / places.u)

    programs = jax.jit(program), jax.jit(check)
    best, least = None, np.inf
    for tried, combined in candidates:
        fixed = Fixed(places, combined, jnp.zeros(count), drawn, corners)
        solver = ParametricSolver(tried, fixed, fresh, *programs)
        solution = solver(example)
        # one scale is not compared with others, and needs no other points
        alone = len(candidates) == 1
        left = float(solution.residual if alone else solver.residual(example))
        if left < least:
            start = replace(fixed, start=solution.weights / places.u)
            best, least = replace(solver, fixed=start), left
    if best is None:
        raise ConfigError("example", example, "parameters with a finite solution")
    return best


def as_float64(parameters: Parameters) -> Parameters:
    """Numbers as arrays, those with a fraction in float64.

    Raises:
      ConfigError: JAX may not use float64 now.
    """
    if jnp.result_type(float) != jnp.float64:
        raise ConfigError("solve_fn", "float32", "to be used under metajax.core.float64_on_cpu()")

    def cast(leaf: Any) -> Array:
        array = jnp.asarray(leaf)
        return array.astype(jnp.float64) if jnp.issubdtype(array.dtype, jnp.number) else array

    return jax.tree.map(cast, parameters)


def random_waves(seed: int, dimensions: int, num: int, scale: float) -> FeatureSet:
    """Waves of random directions, lengths and phases, with a constant.

    Args:
      seed: of the draw.
      dimensions: how many.
      num: features, the constant among them.
      scale: radians a unit of the fastest.
    """
    rng = np.random.default_rng(seed)
    towards = rng.normal(size=(dimensions, num - 1))
    towards /= np.linalg.norm(towards, axis=0)
    length = scale * rng.uniform(size=num - 1) ** (1 / dimensions)
    phases = rng.uniform(0, 2 * np.pi, num - 1)
    waves = RidgeFunctions(jnp.asarray(towards * length), jnp.asarray(phases), "sin")
    return Joined((waves, One()))


def solution_at(
    problem_of: Callable[[Parameters], PDEProblem], fixed: Fixed, parameters: Parameters
) -> ParametricSolution:
    """The solution for parameters.

    For a nonlinear equation the optimum is found first, for one problem after the other and without
    derivatives. ``LAST`` more steps are differentiated. The first one neglects the product of
    residual and second derivative of the equations. Each further step multiplies this error by the
    convergence rate of Gauss-Newton.
    """
    problem = problem_of(parameters)
    features = fixed.features_of(problem)
    system = system_of(moving_blocks(problem, fixed.places), features)
    if system.nonlinear:
        leaves, structure = jax.tree.flatten(jax.lax.stop_gradient((fixed, parameters)))

        def alone(*leaves: Array) -> Array:
            fixed, parameters = jax.tree.unflatten(structure, leaves)
            problem = problem_of(parameters)
            blocks = moving_blocks(problem, fixed.places)
            return settle(system_of(blocks, fixed.features_of(problem)), fixed.start)

        weights = one_at_a_time(alone)(*leaves)
        for _ in range(LAST):
            weights = step_from(system, images_of(system, weights))
    else:
        weights = solve_rows(system.rows, system.target)
    left = relative(system, weights)
    whole = fixed.places.u * weights
    return ParametricSolution(features, whole, box_around(problem.domain), left)


def relative(system: System, weights: Float[Array, " num"]) -> Float[Array, ""]:
    """The residual of equations, relative to their terms."""
    images = images_of(system, weights)
    left = left_of(system, images)
    squares = jnp.sum(images.rows**2) + jnp.sum(system.target**2)
    return jnp.sqrt(jnp.sum(left**2) / jnp.where(squares > 0, squares, 1))
