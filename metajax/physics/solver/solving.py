"""Solve one problem, and say how far the result can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key
from tqdm.auto import tqdm

from metajax.core import ConfigError, cast_floats, float64_on_cpu
from metajax.nn import Jet
from metajax.physics.pde import (
    PDE,
    Finding,
    Points,
    apply_operator,
    in_closure,
    nodes,
    normal_derivative,
    review,
    sample_points,
    values_at,
)
from metajax.physics.solver.least_squares import (
    ConcatenatedFeatures,
    Features,
    Head,
    RandomFeatures,
    filled,
    fit_head,
    random_features,
    sensitivity,
    with_constant,
)
from metajax.physics.solver.verdict import (
    DoubtfulSolutionWarning,
    PointErrors,
    Verdict,
    judge,
    rms,
    rms_without_worst,
)

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Of random features; the one that leaves least at other points is taken, all features used.

With fewer features another scale is best: finer features are worth more the more there are.
"""
POINTS = 4096, 2048
"""Interior and boundary points that are fitted, and as many others that are checked."""
PROBED = 64
"""Points at which it is found how far the data determine the solution."""
CHUNK = 4096
"""Nodes at a time at which the solution is computed: its features take 48 bytes each a node."""
Given = Callable[[Key[Array, ""]], Features]
"""``given(key) -> features``, made for a problem when it has been reviewed."""


class Solved(NamedTuple):
    """A solution on the nodes of a grid, and how well it keeps the equation on other points.

    Attributes:
      u: the solution; NaN outside the closed domain. ``[row, column]`` is ``(y, x)``.
      residual: of the equation, likewise.
      residual_rms: its root mean square at points that were not fitted.
      dirichlet_rms: of the boundary data's error there; NaN where there are none.
      neumann_rms: likewise.
      source_rms: root mean square of the source, to compare the residual with.
      scale: of the random features; NaN without any.
      verdict: ``reliable`` where nothing speaks against the solution, ``check`` where it may be
        wrong, ``failed`` where it cannot be right.
      warnings: what speaks against it, by name.
    """

    u: Float[np.ndarray, "size size"]
    residual: Float[np.ndarray, "size size"]
    residual_rms: float
    dirichlet_rms: float
    neumann_rms: float
    source_rms: float
    scale: float
    verdict: Verdict
    warnings: tuple[str, ...]


class Scaled(NamedTuple):
    """A problem in units of its own: its largest coefficient and its largest data are 1.

    So the solve does not depend on the units that a problem is written in: its equation and its
    data keep the weights that they have to each other, and what is added for stability its own.

    Attributes:
      coefficients: over their unit.
      equation: that unit.
      data: the unit of u and of boundary data; that of the source is both units' product.
    """

    coefficients: Float[Array, "5"]
    equation: float
    data: float

    def points(self, points: Points) -> Points:
        """The same points, with data in these units."""
        return points._replace(
            source=points.source / (self.equation * self.data),
            dirichlet=points.dirichlet / self.data,
            neumann=points.neumann / self.data,
        )


def in_own_units(coefficients: Float[Array, "5"], points: Points) -> Scaled:
    """Choose the units of a problem by its coefficients and its data at points."""

    def unit(*values: Array) -> float:
        largest = max(float(jnp.max(jnp.abs(value))) for value in values)
        return largest if largest > 0 else 1.0

    equation = unit(coefficients)
    data = unit(points.source / equation, points.dirichlet, points.neumann)
    return Scaled(coefficients / equation, equation, data)


def solve(
    pde: PDE,
    *,
    features: int = 2000,
    size: int = 129,
    seed: int = 0,
    given: Given | None = None,
    head: bool = True,
    progress: bool = False,
    stacklevel: int = 2,
) -> Solved:
    """Solve a linear problem by least squares over random features, in float64 on the CPU.

    Args:
      pde: the problem.
      features: random features; the solve takes time as their square. 0 with ``given``: none.
      size: nodes along a side of the grid that is returned.
      seed: of features and points.
      given: makes more features for the least squares.
      head: whether the features' combination is solved for. Otherwise ``given`` makes a single one,
        which is the solution, and is judged like any other.
      progress: whether to show a progress bar.
      stacklevel: of the warnings, as in ``warnings.warn``; 2: they name the line of the call.

    Returns:
      The solution with its residual and warnings.

    Raises:
      ConfigError: ``features`` below 1 where none are given, ``size`` below 2, no ``head`` where
        nothing is given; source or data that are not finite somewhere in the domain, or no data on
        its boundary.

    Warns:
      DoubtfulSolutionWarning: each of the solution's ``warnings``.
    """
    if features < (0 if given and head else 1):
        raise ConfigError("features", features, "1 or more")
    if size < 2:
        raise ConfigError("size", size, "2 or more")
    if given is None and not head:
        raise ConfigError("head", head, "True where no solution is given")
    feature_key, fit_key, check_key = jax.random.split(jax.random.key(seed), 3)
    scales = SCALES if head and features else ()
    with tqdm(total=4 + len(scales), disable=not progress, leave=False) as bar:

        def stage(name: str) -> None:
            bar.set_description(name)
            bar.update()

        stage("review of the problem")
        findings = review(pde)
        stage("points" if given is None else "given features")
        more = None if given is None else given(fit_key)
        with float64_on_cpu():
            exact = cast_floats(jax.tree.map(np.asarray, pde), np.float64)
            drawn = [sample_points(exact, key, *POINTS) for key in (fit_key, check_key)]
            units = in_own_units(exact.coefficients, drawn[0])
            fitted, checked = (units.points(points) for points in drawn)
            more = cast_floats(jax.device_get(more), np.float64)
            if head:
                best = None
                for tried_scale in scales or (np.nan,):
                    stage("least squares" + (f", features at {tried_scale:g}" if scales else ""))
                    made = [] if more is None else [more]
                    if scales:
                        made.append(scaled_features(feature_key, features, tried_scale))
                    features_used = with_constant(ConcatenatedFeatures(tuple(made)))
                    tried = attempt(units.coefficients, fitted, checked, features_used)
                    left = weighted_error(tried.errors, checked)
                    if best is None or left < best:
                        best, scale, used = left, tried_scale, features_used
                        fitted_head, errors = tried
                weights = fitted_head.weights
                sensitive = np.asarray(sensitivity_at(fitted_head, used, checked.interior[:PROBED]))
            else:
                scale, used, weights = np.nan, more, jnp.full(1, 1 / units.data)
                errors = errors_at(units.coefficients, checked, used, weights)
                sensitive = np.zeros(0)
            stage("solution")
            where = nodes(size).reshape(-1, 2)
            inside = np.asarray(in_closure(exact.domain, where))
            source = np.asarray(values_at(exact.source, where))
            u, applied = everywhere(units.coefficients, where, used, weights)
        stage("verdict")
        u = np.where(inside, units.data * u, np.nan)
        whole = units.equation * units.data
        residual = np.where(inside, whole * applied - source, np.nan)
        if not np.isfinite(source[inside]).all():
            findings = (*findings, without_source(where, source, inside))
        finite = bool(np.isfinite(u[inside]).all())
        pieces = pde.domain.pieces
        verdict, texts = judge(findings, errors, checked, pieces, sensitive, finite)
    for text in texts:
        warnings.warn(text, DoubtfulSolutionWarning, stacklevel=stacklevel)
    return Solved(
        u.reshape(size, size),
        residual.reshape(size, size),
        whole * rms(errors.residual),
        units.data * rms(errors.edge, checked.dirichlet_mask),
        units.data * rms(errors.flux, checked.neumann_mask),
        rms(drawn[1].source),
        scale,
        verdict,
        texts,
    )


class Attempt(NamedTuple):
    """The best combination of features, and what it leaves at points that were not fitted."""

    head: Head
    errors: PointErrors


@jax.jit
def attempt(
    coefficients: Float[Array, "5"], fitted: Points, checked: Points, used: Features
) -> Attempt:
    """Combine features."""
    head = fit_head(coefficients, fitted, used)
    return Attempt(head, errors_at(coefficients, checked, used, head.weights))


@jax.jit
def errors_at(
    coefficients: Float[Array, "5"], points: Points, used: Features, weights: Array
) -> PointErrors:
    """What a combination of features leaves of equation and data at points."""
    inside, edge = (
        jax.tree.map(lambda leaf: leaf @ weights, filled(used(at)))
        for at in (points.interior, points.boundary.points)
    )
    of_terms = Jet(*(jnp.abs(leaf) for leaf in inside))
    flux = normal_derivative(edge, points.boundary.normals)
    return PointErrors(
        apply_operator(coefficients, inside) - points.source,
        apply_operator(jnp.abs(coefficients), of_terms) + jnp.abs(points.source),
        inside.u,
        edge.u - points.dirichlet,
        flux - points.neumann,
        jnp.sqrt(edge.x**2 + edge.y**2),
    )


@jax.jit
def sensitivity_at(head: Head, used: Features, points: Float[Array, "n 2"]) -> Array:
    """How far the data determine the solution at points."""
    return sensitivity(head, used(points).u)


@partial(jax.jit, static_argnames="num")
def scaled_features(key: Key[Array, ""], num: int, scale: float) -> RandomFeatures:
    """Random features, of a scale that is traced."""
    return random_features(key, num, scale, jnp.float64)


def everywhere(
    coefficients: Float[Array, "5"], where: Float[Array, "n 2"], used: Features, weights: Array
) -> tuple[np.ndarray, np.ndarray]:
    """The solution and what the operator makes of it at many points, some at a time."""
    lacking = -len(where) % CHUNK
    padded = np.concatenate([where, np.zeros((lacking, 2))])
    found = [
        on_chunk(coefficients, part, used, weights)
        for part in np.split(padded, len(padded) // CHUNK)
    ]
    u, applied = (np.concatenate(leaves)[: len(where)] for leaves in zip(*found, strict=True))
    return u, applied


@jax.jit
def on_chunk(
    coefficients: Float[Array, "5"], where: Float[Array, "n 2"], used: Features, weights: Array
) -> tuple[Array, Array]:
    """The solution and what the operator makes of it at points."""
    values = jax.tree.map(lambda leaf: leaf @ weights, filled(used(where)))
    return values.u, apply_operator(coefficients, values)


def without_source(where: Array, source: np.ndarray, inside: np.ndarray) -> Finding:
    """Say at which node of the grid the source is not finite, though it is at all points."""
    node = np.flatnonzero(inside & ~np.isfinite(source))[0]
    x, y = np.asarray(where)[node]
    return Finding(
        f"source is {source[node]} at x = {x:.4g}, y = {y:.4g}: it has no residual there"
    )


def weighted_error(errors: PointErrors, points: Points) -> float:
    """What a scale is judged by: as the solve weighs equation and boundary."""
    data = (errors.edge, points.dirichlet_mask), (errors.flux, points.neumann_mask)
    off = [np.nan_to_num(rms(value, mask)) for value, mask in data]
    return rms_without_worst(errors.residual) ** 2 + 100 * float(off[0] ** 2 + off[1] ** 2)
