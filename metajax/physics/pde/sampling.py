"""Points of one problem and its data there, without a program of its own for each problem."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax.physics.pde.equation import PDE, Points, data_on
from metajax.physics.pde.fields import BoundaryField, Field, Function
from metajax.physics.pde.geometry import (
    LEAST,
    Boundary,
    Shape,
    sample_boundary,
    sample_interior_near,
)


def sample_points(pde: PDE, key: Key[Array, ""], interior: int, boundary: int) -> Points:
    """Draw points of one problem and its data there.

    Unlike :func:`metajax.physics.pde.sample`, it reaches narrow parts of the domain and small holes
    too, and compiles once for all domains of one structure, whatever the data: not to be traced.

    Args:
      pde: the problem.
      key: what is drawn from.
      interior: how many points inside.
      boundary: how many of the boundary, on the pieces that have data.

    Returns:
      The points with their data.
    """
    on = jnp.any(jnp.stack([one.pieces for one in (*pde.dirichlet, *pde.neumann)]), 0)
    inside, edge = _draw(pde.domain, key, on, interior, boundary)
    dirichlet = data_on(pde.dirichlet, edge, values_on)
    neumann = data_on(pde.neumann, edge, values_on)
    return Points(inside, values_at(pde.source, inside), edge, *dirichlet, *neumann)


@partial(jax.jit, static_argnames=("interior", "boundary"))
def _draw(
    domain: Shape, key: Key[Array, ""], on: Bool[Array, " pieces"], interior: int, boundary: int
) -> tuple[Array, Boundary]:
    key, edge_key = jax.random.split(key)
    inside = sample_interior_near(domain, key, interior)
    return inside, sample_boundary(domain, edge_key, boundary, on=on, least=LEAST)


def values_on(data: BoundaryField, at: Boundary) -> Float[Array, " n"]:
    """Return the values of data at points of a boundary, compiled unless they are a function.

    A function is no array but part of the program: compiled, each one would be a program of its
    own, and the same formula, read again, is another function. What comes out may not be finite.

    Args:
      data: numbers, or functions of x and y.
      at: points of the boundary.

    Returns:
      One value for each point.
    """
    with jax.debug_nans(False), jax.debug_infs(False):
        return data.on(at) if isinstance(data, Function) else _on(data, at)


@jax.jit
def _on(data: BoundaryField, at: Boundary) -> Array:
    return data.on(at)


def values_at(data: Field, points: Float[Array, "n 2"]) -> Float[Array, " n"]:
    """Return the values of a source at points; see :func:`values_on`.

    Args:
      data: the source, a number or a function of x and y.
      points: where it is taken.

    Returns:
      One value for each point.
    """
    no_piece = jnp.zeros(points.shape[0], jnp.int32)
    return values_on(data, Boundary(points, jnp.zeros_like(points), no_piece))
