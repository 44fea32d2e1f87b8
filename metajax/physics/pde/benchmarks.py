"""The seven problems of Bischof et al. 2025 (arXiv 2509.05117), with references of our own.

An eighth, ``PS-5G``, is ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from importlib import resources
from operator import sub
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from metajax.core import one_of
from metajax.physics.pde.equation import PDE
from metajax.physics.pde.fields import nodes
from metajax.physics.pde.geometry import Disk, Rectangle, Shape, Square

PI = np.pi
REFERENCE_SIZE = 129
"""Nodes along a side of the grid on which references are given."""

EDGE = 1e-6
"""How far outside a node may be and still count as one of the boundary."""

HZ_G_HOLES = ((0.5, 0.5, 0.2), (0.4, -0.4, 0.4), (-0.2, -0.7, 0.1), (-0.6, 0.5, 0.3))
PS_C_HOLES = tuple((x, y, 0.2) for x in (-0.6, 0.6) for y in (-0.6, 0.6))
Vortices = tuple[tuple[float, float, float, float], ...]
"""Gaussians: strength, center x and y, and width of ``strength exp(-r^2 / (2 width^2))`` each."""

PS_G_VORTICES: Vortices = (
    (99.98, -0.911, -0.952, 0.198),
    (99.80, 0.825, -0.380, 0.145),
    (99.50, 0.197, -0.585, 0.093),
    (99.25, 0.197, 0.419, 0.079),
)
"""Fitted to the published source of PS-G, which they miss by at most 1.35, at the peaks."""

PS_5G_VORTICES: Vortices = (
    (26.0, -0.45, 0.40, 0.15),
    (-26.0, 0.50, 0.45, 0.12),
    (26.0, 0.30, -0.50, 0.18),
    (26.0, -0.55, -0.35, 0.10),
    (26.0, 0.05, 0.10, 0.20),
)
"""The same for PS-5G, which is not published: both signs, and all far from the edge."""


def on_reference_grid(
    place: tuple[np.ndarray, np.ndarray], values: Float[Array, " n"]
) -> tuple[Float[np.ndarray, "size size"], Bool[np.ndarray, "size size"]]:
    """Put values at some nodes of the references' grid on all of it, 0 elsewhere.

    Args:
      place: their rows and columns, as :attr:`Benchmark.place`.
      values: one for each.

    Returns:
      The values and the mask.
    """
    grid = np.zeros((REFERENCE_SIZE, REFERENCE_SIZE), np.float32)
    there = np.zeros(grid.shape, bool)
    grid[place], there[place] = np.asarray(values), True
    return grid, there


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A problem and its reference.

    Attributes:
      name: what :func:`benchmark` knows it by.
      pde: the problem.
      points: the nodes of a grid of 129 a side in the domain or on its edge, ``[n, 2]``.
      reference: u there.
      solution: u in closed form, ``solution(x, y)``; None where finite elements gave ``reference``.
    """

    name: str
    pde: PDE
    points: Float[Array, "n 2"]
    reference: Float[Array, " n"]
    solution: Callable[[Any, Any], Any] | None

    @property
    def place(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the points in a grid of ``REFERENCE_SIZE`` a side."""
        columns, rows = np.round((np.asarray(self.points).T + 1) * (REFERENCE_SIZE - 1) / 2)
        return rows.astype(int), columns.astype(int)


def less(holes: tuple[tuple[float, float, float], ...]) -> Shape:
    """The square less disks, each a center and a radius."""
    return reduce(sub, [Disk((x, y), radius) for x, y, radius in holes], Square())


def heat(x: Any, y: Any) -> Any:
    """Solve HT."""
    return jnp.exp(-0.05 * PI**2 * (y + 1)) * jnp.sin(PI * (x + 1) / 2)


def helmholtz(x: Any, y: Any) -> Any:
    """Solve HZ."""
    return jnp.sin(PI * x) * jnp.sin(4 * PI * y)


def wave(x: Any, y: Any) -> Any:
    """Solve WV."""
    low = jnp.sin(PI * (x + 1) / 2) * jnp.cos(PI * (y + 1))
    return low + 0.5 * jnp.sin(2 * PI * (x + 1)) * jnp.cos(4 * PI * (y + 1))


def around_holes(x: Any, y: Any) -> Any:
    """The source of HZ-G."""
    return -10 / 32 * (17 + x**2 + y**2) * jnp.sin(PI * x) * jnp.sin(4 * PI * y)


def gaussians(vortices: Vortices, x: Any, y: Any) -> Any:
    """The sum of Gaussians, minus the source of PS-G and PS-5G."""
    return sum(
        strength * jnp.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * width**2))
        for strength, a, b, width in vortices
    )


def heat_problem() -> PDE:
    return PDE([0, 0, 1, -0.2, 0], dirichlet={"left": 0.0, "right": 0.0, "bottom": heat})


def helmholtz_problem() -> PDE:
    def source(x, y):
        return (1 - 17 * PI**2) * helmholtz(x, y)

    return PDE([1, 0, 0, 1, 1], source, dirichlet=0.0)


def holes_problem() -> PDE:
    return PDE(
        [-2, 0, 0, 1 / 32, 1 / 32],
        around_holes,
        less(HZ_G_HOLES),
        dirichlet={"square": 0.2, "disk": 1.0},
    )


def circles_problem() -> PDE:
    return PDE([0, 0, 0, 1, 1], domain=less(PS_C_HOLES), dirichlet={"square": 1.0, "disk": 0.0})


def corner_problem() -> PDE:
    quadrant = Rectangle((0, 0), (2, 2))
    return PDE([0, 0, 0, 1, 1], -1.0, Square() - quadrant, dirichlet=0.0)


def gaussians_problem(vortices: Vortices) -> PDE:
    return PDE([0, 0, 0, 1, 1], lambda x, y: -gaussians(vortices, x, y), dirichlet=0.0)


def wave_problem() -> PDE:
    return PDE(
        [0, 0, 0, -2, 0.5],
        dirichlet={"left": 0.0, "right": 0.0, "bottom": wave},
        neumann={"bottom": 0.0},
    )


PROBLEMS: dict[str, tuple[Callable[[], PDE], Callable[[Any, Any], Any] | None]] = {
    "HT": (heat_problem, heat),
    "HZ": (helmholtz_problem, helmholtz),
    "HZ-G": (holes_problem, None),
    "PS-C": (circles_problem, None),
    "PS-L": (corner_problem, None),
    "PS-G": (partial(gaussians_problem, PS_G_VORTICES), None),
    "WV": (wave_problem, wave),
    "PS-5G": (partial(gaussians_problem, PS_5G_VORTICES), None),
}
"""How each is made, and its solution where it has a closed form."""

PUBLISHED = ("HT", "HZ", "HZ-G", "PS-C", "PS-L", "PS-G", "WV")
"""The published ones, in the order of the published table; PS-5G is our own."""


def benchmark(name: str) -> Benchmark:
    """Return one of the problems, in [-1, 1]^2, with its reference inside the domain.

    | name | equation | data |
    |---|---|---|
    | ``HT`` | ``u_y = .2 u_xx`` | initial, and 0 on the sides |
    | ``HZ`` | ``u_xx + u_yy + u = (1 - 17 pi^2) sin(pi x) sin(4 pi y)`` | u = 0 |
    | ``HZ-G`` | ``-lap u + 64 u = f``, over 32 | u = .2 outside, 1 on four circles |
    | ``PS-C`` | ``lap u = 0`` | u = 1 outside, 0 on four circles |
    | ``PS-L`` | ``-lap u = 1``, without a quadrant | u = 0 |
    | ``PS-G`` | ``-lap u = `` :data:`PS_G_VORTICES`, four positive Gaussians | u = 0 |
    | ``WV`` | ``.5 u_yy = 2 u_xx`` | initial, at rest, and 0 on the sides |
    | ``PS-5G`` | ``-lap u = `` :data:`PS_5G_VORTICES`, not published | u = 0 |

    HT, HZ and WV have closed forms. The others come from
    :mod:`metajax.physics.pde.finite_elements`, with an error of at most 1e-5 of the largest |u|.

    Args:
      name: of the table.

    Raises:
      ConfigError: no such problem.
    """
    make, solution = PROBLEMS[one_of("benchmark", name, PROBLEMS)]
    pde = make()
    grid = nodes(REFERENCE_SIZE).reshape(-1, 2)
    points = grid[np.asarray(pde.domain.distance(grid) <= EDGE)]
    if solution is not None:
        reference = solution(*points.T)
    else:
        with resources.files(__package__).joinpath(f"references/{name}.npz").open("rb") as file:
            stored = np.load(file)
            reference = jnp.asarray(stored["u"][stored["inside"]], points.dtype)
    return Benchmark(name, pde, points, reference, solution)


def mean_squared_error(values: Float[Array, " n"], reference: Float[Array, " n"]) -> Array:
    """Return the mean of ``(u - reference)^2``; pass points inside the domain only.

    Args:
      values: of a solution.
      reference: at the same points.

    Returns:
      A scalar.
    """
    return jnp.mean((values - reference) ** 2)


def smape(values: Float[Array, " n"], reference: Float[Array, " n"]) -> Array:
    """Return the symmetric mean absolute percentage error, 0 to 200.

    The mean of ``200 |u - r| / (|u| + |r|)``, 0 where both are 0.

    Args:
      values: of a solution.
      reference: at the same points.

    Returns:
      A scalar, in percent.
    """
    apart, size = jnp.abs(values - reference), jnp.abs(values) + jnp.abs(reference)
    return 200 * jnp.mean(apart / jnp.where(size > 0, size, 1.0))
