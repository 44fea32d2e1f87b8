"""How a trained hypernetwork is used on a PDE of a person's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import cast_floats, check_type, float64_on_cpu
from metajax.nn import PINN
from metajax.physics.pde import PDE, in_closure, nodes
from metajax.physics.solver import as_pde, read_problem
from metajax.systems.axes import make_canvas
from metajax.systems.base import Use
from metajax.systems.hypino.model import Model
from metajax.systems.hypino.one_problem import generate, points_of, warn_of_operator
from metajax.systems.hypino.refinement import Ensemble
from metajax.using import Adapted, Told, check_no_target, check_steps, read_numbers

SIZE = 65
"""Nodes along a side of the grid that a file's solution is told at."""


def _encode(inputs: Any) -> Float[np.ndarray, "n 2"]:
    """Return points of the plane.

    Raises:
      ConfigError: they are something else.
    """
    return read_numbers("inputs", inputs, (2,), "points of the plane [n, 2]").astype(np.float32)


@functools.lru_cache(maxsize=16)
def _function(target: PINN) -> Callable[..., Any]:
    """Return ``function(weights, points) -> u``, the same one for equal targets."""

    def function(weights: Any, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
        return Ensemble(weights).derivatives(target, points).u

    return function


def adapt(run: Any, support: Any, key: Any, steps: int | None) -> Adapted:
    """Generate the networks that solve a problem, refined ``steps`` times, 0 by default.

    Raises:
      ConfigError: it is no PDE, or ``steps`` are below 0.

    Warns:
      UserWarning: the operator is not of those that hypernetworks are trained on.
    """
    check_type("support", support, PDE)
    check_steps(steps)
    warn_of_operator(support)
    made = generate(Model(run.config, run.params), support, key, steps or 0, 0)
    point = jax.ShapeDtypeStruct((2,), jnp.float32)
    return Adapted(_function(made.target), made.weights, point, _encode, np.asarray)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Solve the problem of a YAML file, on the nodes of a grid."""
    check_no_target(target, "a PDE")
    pde = as_pde(read_problem(path))
    adapted = run.adapt(pde, steps=steps)
    with float64_on_cpu():
        where = np.asarray(nodes(SIZE)).reshape(-1, 2)
        domain = cast_floats(jax.tree.map(np.asarray, pde.domain), np.float64)
        inside = np.asarray(in_closure(domain, where))
    u = np.where(inside, adapted.predict(where), np.nan)
    lines = [
        f"{int(inside.sum())} nodes in the domain",
        *kept(pde, adapted),
        "metajax solve with --model says how well the equation holds, and corrects the solution",
    ]
    columns = {"x": where[inside, 0], "y": where[inside, 1], "u": u[inside]}
    return Told(lines, columns, functools.partial(draw, u.reshape(SIZE, SIZE)), lambda: adapted)


def kept(pde: PDE, adapted: Adapted) -> list[str]:
    """Say how well a solution keeps the values that it is given along the boundary."""
    points = points_of(pde, jax.random.key(0))
    on = np.asarray(points.dirichlet_mask)
    if not on.any():
        return []
    data = np.asarray(points.dirichlet)[on]
    errors = adapted.predict(np.asarray(points.boundary.points)[on]) - data
    error, size = (np.sqrt(np.mean(values**2)) for values in (errors, data))
    return [
        f"on the boundary u is off by {error:.3g} (root mean square); the data there are {size:.3g}"
    ]


def draw(u: Float[np.ndarray, "size size"]) -> Any:
    """Draw the solution."""
    canvas = make_canvas(5, 4)
    axes = canvas.subplots()
    image = axes.imshow(u, origin="lower", extent=(-1, 1, -1, 1))
    axes.set(title="solution of the generated network", xlabel="x", ylabel="y", aspect="equal")
    canvas.colorbar(image, ax=axes)
    return canvas


use = Use(adapt, files)
"""The solution of a PDE is generated."""
