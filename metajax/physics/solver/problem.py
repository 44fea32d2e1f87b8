"""What a person states of a problem: equation, domain, data, in the person's own units."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from metajax.core import ConfigError, one_of
from metajax.physics.pde import Shape, Square

Value = Any
"""A number, a formula, a function of the coordinates, or a field."""


class Robin(NamedTuple):
    """``u * u(x) + flux * du/dn(x) = value`` on a piece of the boundary, n out of the domain.

    Attributes:
      u: of the solution.
      flux: of its derivative along the normal.
      value: what both together are.
    """

    u: Value
    flux: Value
    value: Value


def terms_of(coordinates: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of all linear terms: u, u_x, u_y, u_xx, u_xy, u_yy in the plane.

    Args:
      coordinates: their names, in order.
    """
    second = itertools.combinations_with_replacement(coordinates, 2)
    return ("u", *(f"u_{one}" for one in coordinates), *(f"u_{a}{b}" for a, b in second))


@dataclass(frozen=True)
class PDEProblem:
    """``sum of coefficients * terms + nonlinear = source`` in a domain, with data on its boundary.

    Attributes:
      coefficients: by the names of the linear terms (:func:`terms_of`), those left out 0.
      source: the right-hand side.
      nonlinear: a formula of u, its first derivatives and the coordinates, or
        ``nonlinear(u, gradient, coordinates)``; None: the equation is linear.
      domain: the square from -1 to 1 by default.
      dirichlet: u by pieces of the boundary.
      neumann: du/dn by pieces.
      robin: :class:`Robin` by pieces.
      periodic: coordinates at whose two ends u and its derivative agree.
      time: the coordinate that is time; its lower end is where the initial state is given.
      initial: u at the beginning.
      initial_velocity: its derivative by time there.
      parameters: by name, for formulas and functions.
      coordinates: their names, in order.
    """

    coefficients: Mapping[str, Value]
    source: Value = 0.0
    nonlinear: str | Callable[..., Any] | None = None
    domain: Shape = field(default_factory=Square)
    dirichlet: Mapping[str, Value] = field(default_factory=dict)
    neumann: Mapping[str, Value] = field(default_factory=dict)
    robin: Mapping[str, Robin] = field(default_factory=dict)
    periodic: tuple[str, ...] = ()
    time: str | None = None
    initial: Value = None
    initial_velocity: Value = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    coordinates: tuple[str, ...] = ("x", "y")

    def __post_init__(self) -> None:
        for name in self.coefficients:
            one_of("coefficients", name, terms_of(self.coordinates))
        if not self.coefficients and self.nonlinear is None:
            raise ConfigError("coefficients", self.coefficients, "one term or more")
