"""Where coefficients or the source of a problem jump inside its domain."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from metajax.core import float64_on_cpu
from metajax.physics.pde import Boundary, Shape, on_host
from metajax.physics.solver.collocation import Units, anywhere, nonlinear_in_units, operator_at
from metajax.physics.solver.discontinuities import find_jumps, places_of_jumps
from metajax.physics.solver.points import (
    Box,
    box_of,
    contains,
    covers,
    evenly,
    faces_of,
    inward,
    picked,
    sample_faces,
    unit_box,
)
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.values import evaluate, known_parameters

BESIDE, ROUNDED = 1e-12, 16 * np.finfo(float).eps
"""Distance from an interface at which its two sides are taken, in units, and the least one relative
to coordinates."""
JUMP = 1e-6
"""Least jump of a coefficient or the source, relative to its largest size."""
SLICE = 0.1036
"""Where slices of three coordinates are, in units: not where anything is likely to end."""
BOTH = 256
"""Points of an interface at both sides of which coefficients are looked at."""
HIDDEN = 4
"""Points that are drawn for each one, as parts of a shape's boundary may be outside the domain."""


def unnamed(
    problem: PDEProblem,
    box: Box,
    parameters: Mapping[str, Any],
    known: Sequence[tuple[str, Shape]],
    of: Callable[..., Float[np.ndarray, "n q"]],
) -> tuple[list[tuple[str, Shape]], Float[np.ndarray, "m d"]]:
    """Find interfaces that no region names.

    Args:
      problem: any.
      box: around its domain.
      parameters: of the problem, known.
      known: interfaces that are known.
      of: what may jump: ``of(problem, points, parameters)``.

    Returns:
      Lines and circles; and places in units where something jumps along another curve, or of three
      coordinates anywhere in three slices.
    """
    domain = on_host(problem.domain)

    def seen(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n q"]:
        return of(problem, box.places(points), parameters)

    def part(points: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
        where = box.places(points)
        return np.where(contains(domain, where), codes_of(known, where), -1)

    if len(box.half) == 2:
        return find_jumps(seen, part, box)

    def in_slice(axis: int) -> Float[np.ndarray, "m 3"]:
        def lifted(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
            return np.insert(points, axis, SLICE, 1)

        # a place where coefficients jump in time alone is no interface, and no flux crosses it
        names = [name for name in problem.coordinates if name != problem.coordinates[axis]]
        axes = [at for at, name in enumerate(names) if name != problem.time]
        found = places_of_jumps(lambda at: seen(lifted(at)), lambda at: part(lifted(at)), axes)
        return lifted(found)

    return [], np.concatenate([in_slice(axis) for axis in range(len(box.half))])


def about_unnamed(problem: PDEProblem, box: Box, parameters: Mapping[str, Any]) -> str | None:
    """Say where second derivatives' coefficients jump, though no interface is known there.

    Args:
      problem: any.
      box: around its domain.
      parameters: of the problem, known.

    Returns:
      The text; None where they do not.
    """
    regions = [(name, on_host(shape)) for name, shape in problem.regions.items()]
    _, places = unnamed(problem, box, parameters, regions, second_coefficients)
    if not len(places):
        return None
    at = ", ".join(f"{one:.4g}" for one in box.places(places[0]))
    lacking = "along no line or circle and in no region" if len(box.half) == 2 else "in no region"
    return (
        f"coefficients of second derivatives jump near ({at}), {lacking}: "
        "the flux of u need not be continuous there; name the shape under regions"
    )


def about_second(problem: PDEProblem) -> str | None:
    """Say where second derivatives' coefficients jump, at an interface that is known or not.

    Args:
      problem: any with known numbers.

    Returns:
      A name or a place; None where they do not.
    """
    box, parameters = box_of(on_host(problem.domain)), known_parameters(problem)
    regions = [(name, on_host(shape)) for name, shape in problem.regions.items()]
    for name, shape in regions:
        at = sample_interface(problem, box, shape, BOTH, 0)
        if np.any(jumps_at(problem, at, box, parameters, second_coefficients)):
            return f"at the boundary of {name}"
    shapes, places = unnamed(problem, box, parameters, regions, second_coefficients)
    if shapes:
        return f"at {shapes[0][0]}"
    if not len(places):
        return None
    return "near (" + ", ".join(f"{one:.4g}" for one in box.places(places[0])) + ")"


def sample_interface(problem: PDEProblem, box: Box, shape: Shape, num: int, seed: int) -> Boundary:
    """Draw points of a shape's boundary inside a domain, with normals out of the shape.

    Args:
      problem: whose domain it is.
      box: around the domain.
      shape: on the host.
      num: points in all, about.
      seed: of the points.
    """
    domain = on_host(problem.domain)

    def wanted(at: Boundary) -> Bool[np.ndarray, " n"]:
        return np.all([contains(domain, side) for side in both_sides(at, box)], 0)

    rng = np.random.default_rng(seed)
    found = sample_faces(shape, box, faces_of(shape), HIDDEN * num, rng, wanted)
    return picked(found, evenly(np.arange(len(found.points)), num))


def both_sides(at: Boundary, box: Box) -> list[Float[np.ndarray, "n d"]]:
    """Points at an interface, on its inside and on its outside."""
    apart = max(BESIDE, ROUNDED * float(np.max(np.abs(box.centre) / box.half)))
    step = apart * inward(box, at.normals)
    return [at.points + step, at.points - step]


def jumps_at(
    problem: PDEProblem,
    at: Boundary,
    box: Box,
    parameters: Mapping[str, Any],
    of: Callable[..., Float[np.ndarray, "n q"]],
) -> Bool[np.ndarray, " n"]:
    """Whether something jumps at points of an interface: ``of(problem, points, parameters)``."""
    if not len(at.points):
        return np.zeros(0, bool)
    inner, outer = (of(problem, side, parameters) for side in both_sides(at, box))
    size = np.maximum(np.max(np.abs(inner), 0), np.max(np.abs(outer), 0))
    return np.any(np.abs(inner - outer) > JUMP * size, 1)


def codes_of(
    shapes: Sequence[tuple[str, Shape]], points: Float[np.ndarray, "n d"]
) -> Int[np.ndarray, " n"]:
    """Which of the shapes points are in, as a binary number."""
    codes = np.zeros(len(points), np.int64)
    for at, (_, shape) in enumerate(shapes):
        with float64_on_cpu():  # for shapes of a person's own, which may compute with JAX
            codes |= np.asarray(covers(shape, points)).astype(np.int64) << at
    return codes


def quantities(
    problem: PDEProblem, points: Float[np.ndarray, "n d"], parameters: Mapping[str, Any]
) -> Float[np.ndarray, "n q"]:
    """Coefficients and source at points, and the nonlinear part of a function; 0 for NaN."""
    num = len(points)
    operator = operator_at(problem, points, parameters, finite=False)
    source = evaluate("source", problem.source, anywhere(points), problem, parameters, finite=False)
    found = [*(part for part in operator if part is not None), source]
    if problem.nonlinear is not None:
        plain = Units(unit_box(points.shape[1]), 1.0, 1.0)
        with np.errstate(all="ignore"):
            one = nonlinear_in_units(problem, plain, parameters)(
                points, np.ones(num), np.ones(points.shape)
            )
        found.append(one)
    return finite_rows(found)


def second_coefficients(
    problem: PDEProblem, points: Float[np.ndarray, "n d"], parameters: Mapping[str, Any]
) -> Float[np.ndarray, "n q"]:
    """The coefficients of the second derivatives at points; 0 where they are not finite."""
    second = operator_at(problem, points, parameters, finite=False).hessian
    return np.zeros((len(points), 1)) if second is None else finite_rows([second])


def finite_rows(parts: Sequence[np.ndarray]) -> Float[np.ndarray, "n q"]:
    """Values by point, 0 for those that are not finite."""
    flat = np.concatenate([part.reshape(len(part), math.prod(part.shape[1:])) for part in parts], 1)
    return np.where(np.isfinite(flat), flat, 0.0)
