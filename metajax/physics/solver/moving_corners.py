"""What solutions are like at re-entrant corners, whose place and angle may be traced."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

from metajax.core import register_dataclass
from metajax.physics.pde import on_host
from metajax.physics.solver.collocation import operator_at
from metajax.physics.solver.corners import HIGHEST, NEAREST, Corner, corners_of, kinds_of
from metajax.physics.solver.operators import Operator
from metajax.physics.solver.points import Box, box_of
from metajax.physics.solver.problem import PDEProblem
from metajax.physics.solver.values import known_parameters

STRAIGHT = 1e-3
"""By how much more than pi an angle is that of a re-entrant corner, in radians."""
SAME = 1e-6
"""How far from a line its points may be, in units."""


class Meeting(NamedTuple):
    """Two of a domain's lines that meet at a corner; hashable.

    Attributes:
      lines: indices of the domain's curves: the inside is to the left of the first.
      signs: 1 where a line's direction leads away from the corner, -1 where it leads there.
      mixed: whether one of them has u and the other its derivative.
      orders: how many powers.
    """

    lines: tuple[int, int]
    signs: tuple[int, int]
    mixed: bool
    orders: int


@register_dataclass
@dataclass(frozen=True)
class MovingCorner:
    """Both parts of ``z**power`` at a corner, z the place relative to it.

    Attributes:
      point: of the corner, in units.
      direction: ``z = direction . (x - point)``; its angle is 0 to that of the corner inside.
      middle: half the corner's angle.
      powers: the powers.
    """

    point: Float[Array, " 2"]
    direction: Complex[Array, " 2"]
    middle: Float[Array, ""]
    powers: Float[Array, " several"]

    def __call__(self, points: Float[Array, "n 2"], operator: Operator) -> Float[Array, "n num"]:
        d = self.direction
        away = (points - self.point[None]).astype(d.dtype)
        z, turn = away @ d, jnp.exp(jax.lax.complex(jnp.zeros_like(self.middle), self.middle))
        z = jnp.where(jnp.abs(z) < NEAREST, turn * NEAREST, z)[:, None]
        # the cut of the logarithm is opposite
        log = jax.lax.complex(jnp.log(jnp.abs(z)), self.middle + jnp.angle(z / turn))
        power = self.powers[None].astype(d.dtype)
        f = jnp.exp(power * log)
        value, gradient, hessian = operator
        found = jnp.zeros_like(f)
        if value is not None:
            found = found + value[:, None].astype(d.dtype) * f
        if gradient is not None:
            found = found + (gradient.astype(d.dtype) @ d)[:, None] * power * f / z
        if hessian is not None:
            bend = jnp.einsum("i,nij,j->n", d, hessian.astype(d.dtype), d)[:, None]
            found = found + bend * power * (power - 1) * f / z**2
        return jnp.concatenate([found.real, found.imag], 1)


def meetings(problem: PDEProblem) -> tuple[Meeting, ...]:
    """Find the re-entrant corners of a problem's domain at which solutions are not smooth.

    Args:
      problem: in the plane, with known numbers; others have none.
    """
    domain = on_host(problem.domain)
    if len(problem.coordinates) != 2:
        return ()
    box = box_of(domain)
    found = []
    for corner in corners_of(domain, box, kinds_of(problem)):
        at = box.places(corner.point[None])
        hessian = operator_at(problem, at, known_parameters(problem)).hessian
        edges = (corner.first @ [1, 1j], corner.last @ [1, 1j])
        angle = np.angle(edges[1] / edges[0]) % (2 * np.pi)
        if hessian is None or angle < np.pi + STRAIGHT:
            continue
        sizes = np.linalg.eigvalsh(np.asarray(hessian[0] + hessian[0].T))
        lines = [line_along(problem, box, corner, edge) for edge in (corner.first, corner.last)]
        if sizes[0] * sizes[1] > 0 and lines[0] is not None and lines[1] is not None:
            (one, sign), (other, opposite) = lines[0], lines[1]
            orders = int(HIGHEST * angle / np.pi)
            found.append(Meeting((one, other), (sign, opposite), corner.mixed, orders))
    return tuple(found)


def line_along(
    problem: PDEProblem, box: Box, corner: Corner, edge: Float[np.ndarray, "2"]
) -> tuple[int, int] | None:
    """The line of a domain's boundary that leaves a corner in a direction, and its sign."""
    curves = on_host(problem.domain).curves
    for number in range(len(curves.length)):
        if curves.radius[number] > 0 or curves.length[number] <= 0:
            continue
        start = box.units(np.asarray(curves.start[number]))
        span = np.asarray(curves.span[number]) / box.half
        normal = np.array([-edge[1], edge[0]])
        along = (np.stack([start, start + span]) - corner.point) @ edge
        off = (np.stack([start, start + span]) - corner.point) @ normal
        if np.abs(off).max() < SAME and along.min() < SAME and along.max() > SAME:
            return number, 1 if along[1] > along[0] else -1
    return None


def traced_corners(
    problem: PDEProblem, box: Box, places: tuple[Meeting, ...]
) -> tuple[MovingCorner, ...]:
    """Return features for corners of a domain whose sizes may be traced.

    Args:
      problem: the problem.
      box: around its domain.
      places: the corners.
    """
    if not places:
        return ()
    curves = problem.domain.curves
    found = []
    for place in places:
        (one, other), (sign, opposite) = place.lines, place.signs
        starts = box.units(jnp.stack([curves.start[one], curves.start[other]]))
        spans = jnp.stack([curves.span[one], curves.span[other]]) / box.half[None]
        apart = starts[1] - starts[0]
        across = spans[0, 0] * spans[1, 1] - spans[0, 1] * spans[1, 0]
        share = (apart[0] * spans[1, 1] - apart[1] * spans[1, 0]) / across
        point = starts[0] + share * spans[0]
        operator = operator_at(problem, box.places(point)[None], problem.parameters)
        second = operator.scaled(box.half).hessian
        assert second is not None  # problems without second derivatives have no such places
        direction = to_laplacian(second[0])
        edges = jnp.stack([sign * spans[0], opposite * spans[1]]).astype(direction.dtype)
        begin, end = edges @ direction
        angle = jnp.angle(end / begin) % (2 * jnp.pi)
        numbers = jnp.arange(1, place.orders + 1, dtype=angle.dtype)
        powers = (numbers - 0.5 * place.mixed) * jnp.pi / angle
        direction = direction * (jnp.conj(begin) / jnp.abs(begin).astype(begin.dtype))
        found.append(MovingCorner(point, direction, angle / 2, powers))
    return tuple(found)


def to_laplacian(hessian: Float[Array, "2 2"]) -> Complex[Array, " 2"]:
    """Return the complex coordinate in which given second derivatives are the Laplacian.

    It is that of :func:`metajax.physics.solver.corners.to_laplacian`, in closed form.

    Args:
      hessian: positive or negative definite; it may be traced.
    """
    both = jnp.sign(hessian[0, 0]) * (hessian + hessian.T) / 2
    first = jnp.sqrt(both[0, 0])
    mixed = both[0, 1] / first
    second = jnp.sqrt(both[1, 1] - mixed**2)
    none = jnp.zeros_like(first)
    real = jnp.stack([1 / first, none])
    return jax.lax.complex(real, jnp.stack([-mixed / (first * second), 1 / second]))
