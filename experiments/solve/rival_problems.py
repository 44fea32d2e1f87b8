"""Problems for any PDE library, in NumPy alone, with what their solutions are.

The rivals run in environments of their own, where metajax need not be. So nothing of it is imported
here; the references of PS-G and PS-L are read from its files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

PI = np.pi
VISCOSITY = 0.01 / PI
REFERENCES = Path(__file__).parents[2] / "metajax/physics/pde/references"
VORTICES = (
    (99.98, -0.911, -0.952, 0.198),
    (99.80, 0.825, -0.380, 0.145),
    (99.50, 0.197, -0.585, 0.093),
    (99.25, 0.197, 0.419, 0.079),
)
"""Strength, centre and width of each Gaussian of PS-G, as in `metajax.physics.pde`."""


class Given(NamedTuple):
    """Data on an edge.

    Attributes:
      edge: ``left``, ``right``, ``bottom``, ``top`` or ``boundary``, which is all of it.
      kind: ``value``, or ``slope`` for the derivative by y.
      value: ``value(x, y, ops)``, of arrays of a library and its functions.
    """

    edge: str
    kind: str
    value: Callable[[Any, Any, Any], Any]


class Problem(NamedTuple):
    """A problem in the plane, which for problems in time is x and t.

    Attributes:
      residual: ``residual(ops, x, y, u, u_x, u_y, u_xx, u_yy)``, 0 for a solution; ``ops`` has sin
        and exp of the library's arrays.
      given: its data.
      lower: corner of its box.
      upper: the opposite corner.
      corner: whether the quadrant of positive coordinates is cut out.
    """

    residual: Callable[..., Any]
    given: tuple[Given, ...]
    lower: tuple[float, float] = (-1.0, -1.0)
    upper: tuple[float, float] = (1.0, 1.0)
    corner: bool = False


def zero(x: Any, y: Any, ops: Any = np) -> Any:
    return 0 * x


def minus_sine(x: Any, y: Any, ops: Any = np) -> Any:
    return -ops.sin(PI * x)


def heat(x: Any, y: Any, ops: Any = np) -> Any:
    return ops.exp(-0.05 * PI**2 * (y + 1)) * ops.sin(PI * (x + 1) / 2)


def helmholtz(x: Any, y: Any) -> Any:
    return np.sin(PI * x) * np.sin(4 * PI * y)


def wave(x: Any, y: Any, ops: Any = np) -> Any:
    low = ops.sin(PI * (x + 1) / 2) * ops.cos(PI * (y + 1))
    return low + 0.5 * ops.sin(2 * PI * (x + 1)) * ops.cos(4 * PI * (y + 1))


def burgers(x: Any, t: Any, nodes: int = 200) -> Any:
    """Solve Burgers, by the transform of Cole and Hopf and quadrature of Gauss and Hermite."""
    z, weights = np.polynomial.hermite.hermgauss(nodes)
    at = np.asarray(x)[..., None] - np.sqrt(4 * VISCOSITY * np.asarray(t))[..., None] * z
    exponent = -np.cos(PI * at) / (2 * PI * VISCOSITY)
    share = weights * np.exp(exponent - exponent.max(-1, keepdims=True))
    return -np.sum(share * np.sin(PI * at), -1) / np.sum(share, -1)


def heat_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return u_y - 0.2 * u_xx


def helmholtz_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return u_xx + u_yy + u - (1 - 17 * PI**2) * ops.sin(PI * x) * ops.sin(4 * PI * y)


def gaussians_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return (
        u_xx
        + u_yy
        + sum(
            strength * ops.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2))
            for strength, a, b, width in VORTICES
        )
    )


def wave_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return 0.5 * u_yy - 2 * u_xx


def corner_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return u_xx + u_yy + 1


def burgers_residual(ops, x, y, u, u_x, u_y, u_xx, u_yy):
    return u_y + u * u_x - VISCOSITY * u_xx


def sides(*more: Given) -> tuple[Given, ...]:
    """u = 0 at both ends of space, and more."""
    return (Given("left", "value", zero), Given("right", "value", zero), *more)


AROUND = (Given("boundary", "value", zero),)
PROBLEMS = {
    "HT": Problem(heat_residual, sides(Given("bottom", "value", heat))),
    "HZ": Problem(helmholtz_residual, AROUND),
    "PS-G": Problem(gaussians_residual, AROUND),
    "PS-L": Problem(corner_residual, AROUND, corner=True),
    "WV": Problem(
        wave_residual, sides(Given("bottom", "value", wave), Given("bottom", "slope", zero))
    ),
    "Burgers": Problem(
        burgers_residual, sides(Given("bottom", "value", minus_sine)), (-1.0, 0.0), (1.0, 1.0)
    ),
}
SOLUTIONS = {"HT": heat, "HZ": helmholtz, "WV": wave, "Burgers": burgers}
"""In closed form; those of the others are the references of `metajax.physics.pde`."""


def reference(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Points of a grid of 129 a side in the domain, ``[n, 2]``, and the solution there."""
    problem = PROBLEMS[name]
    lines = [np.linspace(*ends, 129) for ends in zip(problem.lower, problem.upper, strict=True)]
    points = np.stack(np.meshgrid(*lines), -1)
    if name in SOLUTIONS:
        points = points.reshape(-1, 2)
        return points, SOLUTIONS[name](*points.T)
    with np.load(REFERENCES / f"{name}.npz") as stored:
        return points[stored["inside"]], stored["u"][stored["inside"]].astype(float)


def relative_error(found: np.ndarray, true: np.ndarray) -> float:
    """Root of the mean squared error, relative to that of the solution."""
    return float(np.sqrt(np.mean((found - true) ** 2) / np.mean(true**2)))
