"""Solve one problem from features alone, and say how far the result can be trusted."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError
from metajax.physics.pde import PDE, Points, nodes, sample
from metajax.systems.hypino.learner import normal_derivative, operator
from metajax.systems.hypino.least_squares import (
    Features,
    random_features,
    solve_head,
    with_constant,
)

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Of random features; the one whose residual on other points is least is taken."""
TRIED = 500
"""Features that a scale is judged by."""
POINTS = 4096, 2048
"""Interior and boundary points that are fitted, and as many others that are checked."""


class Solved(NamedTuple):
    """A solution on the nodes of a grid, and how well it keeps the equation on other points.

    Attributes:
      u: the solution; NaN outside the domain. ``[row, column]`` is ``(y, x)``.
      residual: of the equation, likewise.
      residual_rms: its root mean square at points that were not fitted.
      dirichlet_rms: of the boundary data's error there; NaN where there are none.
      neumann_rms: likewise.
      source_rms: root mean square of the source, to compare the residual with.
      scale: of the random features.
    """

    u: Float[np.ndarray, "size size"]
    residual: Float[np.ndarray, "size size"]
    residual_rms: float
    dirichlet_rms: float
    neumann_rms: float
    source_rms: float
    scale: float


def solve(pde: PDE, *, features: int = 2000, size: int = 129, seed: int = 0) -> Solved:
    """Solve a linear problem by least squares over random features, in float64 on the CPU.

    Args:
      pde: the problem.
      features: how many; the solve takes time as their square.
      size: nodes along a side of the grid that is returned.
      seed: of features and points.

    Raises:
      ConfigError: ``features`` below 1 or ``size`` below 2.
    """
    if features < 1:
        raise ConfigError("features", features, "1 or more")
    if size < 2:
        raise ConfigError("size", size, "2 or more")
    with jax.enable_x64(True), jax.default_device(jax.local_devices(backend="cpu")[0]):
        exact = in_float64(pde)
        feature_key, fit_key, check_key = jax.random.split(jax.random.key(seed), 3)
        draw = jax.jit(lambda key, pde: sample(pde, key, *POINTS))
        fitted, checked = draw(fit_key, exact), draw(check_key, exact)

        @jax.jit
        def fit(coefficients: Array, fitted: Points, checked: Points, made: Features) -> Any:
            weights = solve_head(coefficients, fitted, with_constant(made))
            return weights, errors(coefficients, checked, with_constant(made), weights)

        def attempt(num: int, scale: float) -> tuple[Any, Any]:
            made = random_features(feature_key, num, scale, jnp.float64)
            return made, fit(exact.coefficients, fitted, checked, made)

        tried = {scale: attempt(min(TRIED, features), scale)[1][1] for scale in SCALES}
        best = min(SCALES, key=lambda scale: float(total(tried[scale])))
        made, (weights, found) = attempt(features, best)

        @jax.jit
        def everywhere(pde: PDE) -> tuple[Array, Array]:
            where = nodes(size).reshape(-1, 2)
            values = jax.tree.map(lambda leaf: leaf @ weights[:, None], with_constant(made)(where))
            residual = operator(pde.coefficients, values)[:, 0] - pde.source(where)
            inside = pde.domain.distance(where) <= 1e-9
            u = jnp.where(inside, values.value[:, 0], jnp.nan)
            return u, jnp.where(inside, residual, jnp.nan)

        u, residual = (np.asarray(leaf).reshape(size, size) for leaf in everywhere(exact))
    residual_rms, dirichlet_rms, neumann_rms, source_rms = map(float, found)
    return Solved(u, residual, residual_rms, dirichlet_rms, neumann_rms, source_rms, best)


def errors(coefficients: Any, points: Points, features: Any, weights: Any) -> tuple[Array, ...]:
    """Root mean squares of residual, Dirichlet and Neumann errors, and of the source."""
    inside, edge = (
        jax.tree.map(lambda leaf: leaf @ weights[:, None], features(at))
        for at in (points.interior, points.boundary.points)
    )

    def rms(off: Array, mask: Array | None = None) -> Array:
        return jnp.sqrt(jnp.mean(off**2, where=mask))

    return (
        rms(operator(coefficients, inside)[:, 0] - points.source),
        rms(edge.value[:, 0] - points.dirichlet, points.dirichlet_mask),
        rms(
            normal_derivative(edge, points.boundary.normals)[:, 0] - points.neumann,
            points.neumann_mask,
        ),
        rms(points.source),
    )


def total(found: tuple[Array, ...]) -> Array:
    """What a scale is judged by: as the solve weighs equation and boundary."""
    residual, dirichlet, neumann, _ = found
    return residual**2 + 100 * (jnp.nan_to_num(dirichlet) ** 2 + jnp.nan_to_num(neumann) ** 2)


def in_float64(pde: PDE) -> PDE:
    """The same problem with all of its numbers in float64."""
    return jax.tree.map(
        lambda x: (
            jnp.asarray(np.asarray(x), jnp.float64)
            if jnp.issubdtype(jnp.asarray(x).dtype, jnp.floating)
            else x
        ),
        pde,
    )
