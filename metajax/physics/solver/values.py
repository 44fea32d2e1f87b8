"""Evaluate what a person gives at points: numbers, formulas, functions, fields."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from metajax.core import ConfigError, float64_on_cpu
from metajax.physics.pde import Boundary, BoundaryField, namespace, on_host
from metajax.physics.solver.formulas import Formula
from metajax.physics.solver.operators import Array
from metajax.physics.solver.points import picked
from metajax.physics.solver.problem import PDEProblem, Value

COMMON = 4096
"""Functions are called with a multiple of so many points."""


def evaluate(
    name: str,
    value: Value,
    at: Boundary,
    problem: PDEProblem,
    parameters: Mapping[str, Any],
    finite: bool = True,
) -> Float[Array, " n"]:
    """Return a value at points.

    Args:
      name: what errors call it.
      value: a number, a formula, a function of the coordinates, or a field.
      at: where: points in the person's units, and for fields of the boundary normals and pieces.
      problem: whose value it is.
      parameters: of the problem; where one of them is an array of JAX, so is what is returned.
      finite: whether to reject values that are not finite.

    Returns:
      An array of NumPy, in float64, where neither points nor parameters are JAX's.

    Raises:
      ConfigError: a function raises an error or does not return one number for each point, or the
        value is not finite at a point.
    """

    def compute(at: Boundary) -> Any:
        if isinstance(value, BoundaryField):
            return (value if on_jax else on_host(value)).on(at)
        if isinstance(value, Formula):
            return value(*problem.formula_inputs(at.points, parameters))
        if callable(value):
            return value(*at.points.T, *((parameters,) if problem.parameters else ()))
        return value

    def padded() -> Any:
        """Pad points to one of few numbers of points, as a JAX function compiles for each."""
        num = len(at.points)
        more = -num % COMMON
        again = np.concatenate([np.arange(num), np.zeros(more, int)])
        line = compute(picked(at, again))
        return line[:num] if np.shape(line) == (num + more,) else line

    known = () if callable(value) or isinstance(value, BoundaryField) else value
    on_jax = namespace(at.points, parameters, known) is jnp
    expected = f"a function of {', '.join(problem.coordinates)}"
    plain = on_jax or isinstance(value, Formula) or not callable(value) or not len(at.points)
    return numbers_at(
        name, value, partial(compute, at) if plain else padded, at.points, expected, on_jax, finite
    )


def numbers_at(
    name: str,
    value: Any,
    compute: Callable[[], Any],
    points: Float[Array, "n d"],
    expected: str,
    on_jax: bool,
    finite: bool = True,
) -> Float[Array, " n"]:
    """Return what ``compute()`` returns as one number for each point; see :func:`evaluate`."""
    num = len(points)
    with contextlib.nullcontext() if on_jax else float64_on_cpu():
        try:
            with np.errstate(all="ignore"):
                line = (jnp if on_jax else np).asarray(compute())
        except ConfigError:
            raise
        except Exception as error:  # whatever the caller's code raises
            said = str(error).strip().partition("\n")[0]
            raised = f"{expected}; it raised {type(error).__name__}: {said}"
            raise ConfigError(name, value, raised) from error
    if line.shape not in ((), (1,), (num,)) or line.dtype.kind not in "fiub":
        got = f"for {num} points it returned {line.dtype}{list(line.shape)}"
        raise ConfigError(name, value, f"{expected}, one real number for each point; {got}")
    if on_jax:
        return jnp.broadcast_to(line.astype(jnp.result_type(float)), (num,))
    line = np.broadcast_to(line.astype(np.float64), (num,)).copy()
    if finite and not np.isfinite(line).all():
        bad = int(np.flatnonzero(~np.isfinite(line))[0])
        place = ", ".join(f"{number:.4g}" for number in points[bad])
        raise ConfigError(name, value, f"finite in the domain; it is {line[bad]} at ({place})")
    return line


def known_parameters(problem: PDEProblem) -> dict[str, Any]:
    """Return a problem's parameters on the host, plain numbers in float64.

    Args:
      problem: any whose parameters are not traced.
    """

    def convert(leaf: Any) -> Any:
        plain = isinstance(leaf, int | float) and not isinstance(leaf, bool)
        return np.float64(leaf) if plain else on_host(leaf)

    return jax.tree.map(convert, dict(problem.parameters))
