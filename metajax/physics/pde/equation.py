"""Linear equations of second order in the plane, and the arrays that a model reads of them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import ConfigError
from metajax.physics.pde.closure import has_inside
from metajax.physics.pde.fields import BoundaryField, as_boundary_field, as_field, nodes
from metajax.physics.pde.geometry import (
    Boundary,
    Piece,
    Shape,
    Square,
    sample_boundary,
    sample_interior,
)
from metajax.physics.pde.pytrees import concrete, put, pytree, real


class Condition(NamedTuple):
    """Boundary data on some pieces of the boundary.

    Attributes:
      value: the data.
      pieces: on which of the domain's pieces; may be traced.
    """

    value: BoundaryField
    pieces: Bool[Array, " pieces"]


@pytree
class PDE:
    """``c1 u + c2 u_x + c3 u_y + c4 u_xx + c5 u_yy = f`` in a domain within [-1, 1]^2.

    Where a problem depends on time, y is time and the initial state stands on ``bottom``, the edge
    at y = -1. For example the heat equation::

        PDE(
            [0, 0, 1, -0.2, 0],
            dirichlet={"left": 0.0, "right": 0.0, "bottom": lambda x, y: jnp.cos(jnp.pi * x / 2)},
        )

    Data may be a number, a grid (:class:`metajax.physics.pde.Grid`), a function of ``x`` and ``y``
    or a :class:`metajax.physics.pde.Field`. Boundary data may also be a
    :class:`metajax.physics.pde.BoundaryField`, on the whole boundary, or a dict from names of
    pieces to any of these: ``"shape"``, or before that ``"shape.edge"``, for which ``"edge"`` is
    enough on the square. A piece without data is left free. A piece that both kinds name has both,
    as the start of a wave; where one of them names a wider part, this may not be meant, so it is
    warned of.

    Attributes:
      coefficients: of u, u_x, u_y, u_xx and u_yy; kept as an array ``[5]``.
      source: f; kept as a field, 0 by default.
      domain: the square from -1 to 1 by default.
      dirichlet: u on the boundary; a tuple of :class:`Condition`.
      neumann: du/dn on the boundary, n pointing out of the domain; likewise.

    Raises:
      ConfigError: ``coefficients`` that are not five or not finite or all 0; a ``source`` that is
        none of the above; ``dirichlet`` and ``neumann`` that name an unknown piece, data that no
        piece takes, or no data at all; a ``domain`` that is empty or no shape.

    Warns:
      UserWarning: both kinds hold on a piece, and one of them by the name of a wider part.
    """

    coefficients: Any
    source: Any = 0.0
    domain: Any = None
    dirichlet: Any = None
    neumann: Any = None

    def __post_init__(self) -> None:
        put(self, coefficients=checked_coefficients(self.coefficients))
        if self.domain is None:
            put(self, domain=Square())
        if not isinstance(self.domain, Shape):
            raise ConfigError("domain", self.domain, "a shape, such as Square() - Disk((0, 0), .5)")
        if self.domain.dimensions != 2:
            raise ConfigError("domain", self.domain.pieces, "a shape of the plane")
        if concrete(self.domain) and not has_inside(self.domain):
            raise ConfigError("domain", self.domain.pieces, "shapes that leave an inside")
        put(self, source=as_field("source", self.source))
        if unclear := unclear_piece(self.dirichlet, self.neumann, self.domain):
            warnings.warn(
                f"{unclear}, so both hold there; name the pieces that each is meant for",
                stacklevel=3,
            )
        for name in ("dirichlet", "neumann"):
            put(self, **{name: as_conditions(name, getattr(self, name), self.domain.pieces)})
        if not self.dirichlet and not self.neumann:
            raise ConfigError("dirichlet", None, "boundary data here or in neumann")


def checked_coefficients(value: Any) -> Float[Array, "5"]:
    """Five coefficients, finite and not all 0."""
    expected = "five finite numbers, of u, u_x, u_y, u_xx, u_yy, not all 0"
    try:
        coefficients = real(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError("coefficients", value, expected) from error
    known = concrete(coefficients)
    if coefficients.shape != (5,) or (
        known and not (np.isfinite(coefficients).all() and np.any(coefficients))
    ):
        raise ConfigError("coefficients", value, expected)
    return coefficients


def as_conditions(name: str, data: Any, pieces: tuple[Piece, ...]) -> tuple[Condition, ...]:
    """Conditions from what a person writes; see :class:`PDE`."""
    if data is None or (isinstance(data, Mapping) and not data):
        return ()
    if isinstance(data, tuple) and all(isinstance(item, Condition) for item in data):
        return data
    if not isinstance(data, Mapping):
        return (Condition(as_boundary_field(name, data), jnp.ones(len(pieces), bool)),)
    for key in data:
        if not any(piece.matches(key) for piece in pieces):
            known = sorted({text for piece in pieces for text in piece.names})
            raise ConfigError(name, key, f"pieces of the boundary, of {', '.join(known)}")
    best = [max(data, key=piece.matches) for piece in pieces]
    conditions = []
    for key, value in data.items():
        on = [
            one == key and piece.matches(key) > 0 for one, piece in zip(best, pieces, strict=True)
        ]
        if not any(on):
            expected = "a piece that more precise names do not cover entirely"
            raise ConfigError(f"{name}[{key!r}]", value, expected)
        conditions.append(Condition(as_boundary_field(f"{name}[{key!r}]", value), jnp.array(on)))
    return tuple(conditions)


def unclear_piece(dirichlet: Any, neumann: Any, domain: Shape) -> str | None:
    """Say which piece has both kinds of data by names of which one means a wider part.

    Args:
      dirichlet: as :class:`PDE` takes it.
      neumann: likewise.
      domain: the problem's.

    Returns:
      A sentence, or None where every piece has one kind, or both under the same name.
    """
    for piece in domain.pieces:
        one, other = name_of(dirichlet, piece), name_of(neumann, piece)
        if one is None or other is None or how_wide(piece, one) == how_wide(piece, other):
            continue
        called = ".".join(filter(None, piece))
        parts = [repr(name) if name else "the whole boundary" for name in (one, other)]
        return f"{called!r} has dirichlet as {parts[0]} and neumann as {parts[1]}"
    return None


def how_wide(piece: Piece, name: str) -> int:
    """Whether a piece's name means the whole boundary (0), a whole shape (1) or an edge (2)."""
    return min(piece.matches(name), 2)


def name_of(data: Any, piece: Piece) -> str | None:
    """What boundary data call a piece: its name, "" as part of the whole; None without data."""
    if isinstance(data, Mapping):
        best = max(data, key=piece.matches, default=None)
        return best if best is not None and piece.matches(best) else None
    # conditions that are made already say themselves where they hold
    made = isinstance(data, tuple) and all(isinstance(item, Condition) for item in data)
    return None if data is None or made else ""


class Points(NamedTuple):
    """A problem at sampled points: what its losses need.

    Attributes:
      interior: points inside the domain.
      source: f there.
      boundary: points of the boundary on pieces that have data.
      dirichlet: u there; 0 where not given.
      dirichlet_mask: whether it is given.
      neumann: du/dn there; 0 where not given.
      neumann_mask: whether it is given.
    """

    interior: Float[Array, "interior 2"]
    source: Float[Array, " interior"]
    boundary: Boundary
    dirichlet: Float[Array, " boundary"]
    dirichlet_mask: Bool[Array, " boundary"]
    neumann: Float[Array, " boundary"]
    neumann_mask: Bool[Array, " boundary"]


def sample(pde: PDE, key: Key[Array, ""], interior: int = 2048, boundary: int = 2048) -> Points:
    """Draw points of a problem and its data there; see :func:`sample_boundary`.

    Args:
      pde: the problem.
      key: what is drawn from.
      interior: how many points inside.
      boundary: how many of the boundary, on the pieces that have data.

    Returns:
      The points with their data.
    """
    key, edge_key = jax.random.split(key)
    inside = sample_interior(pde.domain, key, interior)
    on = jnp.any(jnp.stack([one.pieces for one in (*pde.dirichlet, *pde.neumann)]), 0)
    edge = sample_boundary(pde.domain, edge_key, boundary, on=on)
    return Points(
        inside, pde.source(inside), edge, *data_on(pde.dirichlet, edge), *data_on(pde.neumann, edge)
    )


def data_on(
    conditions: tuple[Condition, ...],
    boundary: Boundary,
    values: Callable[[BoundaryField, Boundary], Array] = lambda data, at: data.on(at),
) -> tuple[Float[Array, " n"], Bool[Array, " n"]]:
    """Return boundary data at points, 0 where there is none, and whether there is any.

    Args:
      conditions: the data.
      boundary: the points.
      values: computes the values of one condition there.

    Returns:
      The data, and where there are any.
    """
    value = jnp.zeros_like(boundary.points[:, 0])
    mask = jnp.zeros(value.shape, bool)
    for condition in conditions:
        here = condition.pieces[boundary.piece]
        value = jnp.where(here, values(condition.value, boundary), value)
        mask |= here
    return value, mask


class Grids(NamedTuple):
    """A problem as five images over the square from -1 to 1; ``[row, column]`` is ``(y, x)``.

    Attributes:
      source: f on the nodes, also where they are outside the domain.
      dirichlet_mask: 1 on the four nodes around each boundary point at which u is given, else 0.
      dirichlet: the u of the nearest of these points, 0 elsewhere.
      neumann_mask: the same for du/dn.
      neumann: likewise.
    """

    source: Float[Array, "size size"]
    dirichlet_mask: Float[Array, "size size"]
    dirichlet: Float[Array, "size size"]
    neumann_mask: Float[Array, "size size"]
    neumann: Float[Array, "size size"]


def rasterise(pde: PDE, points: Points, size: int = 224) -> Grids:
    """Make the five images that a model of images reads; the boundary is that of ``points``.

    With stratified points, as :func:`sample` draws them, no node along the boundary is missed while
    they are nearer to each other than the nodes, ``2 / (size - 1)``. At 224 nodes, 2048 points are
    enough for up to 18 units of length.

    Args:
      pde: whose source is drawn.
      points: of its boundary, with their data.
      size: nodes along a side.

    Returns:
      The images, ``[size, size]`` each.
    """
    return images(pde.source(nodes(size).reshape(-1, 2)).reshape(size, size), points)


def images(source: Float[Array, "size size"], points: Points) -> Grids:
    """Make the five images of the source's and of a problem's points; see :func:`rasterise`.

    Args:
      source: at the nodes of the grid.
      points: of the problem; those of its boundary count.

    Returns:
      The images, ``[size, size]`` each.
    """
    size, where = source.shape[0], points.boundary.points
    return Grids(
        source,
        *mark(where, points.dirichlet, points.dirichlet_mask, size),
        *mark(where, points.neumann, points.neumann_mask, size),
    )


@functools.partial(jax.jit, static_argnames="size", inline=True)
def mark(
    points: Float[Array, "n 2"], values: Float[Array, " n"], mask: Bool[Array, " n"], size: int
) -> tuple[Float[Array, "size size"], Float[Array, "size size"]]:
    """Mark the four nodes around each point that ``mask`` admits, and give them its value.

    Where several points claim a node it takes the nearest one's value. Integer maxima decide, so
    the result does not depend on the order in which a device writes.

    Args:
      points: in the square from -1 to 1.
      values: at the points.
      mask: which points count.
      size: nodes along a side.

    Returns:
      The mask, 1 or 0, and the values.
    """
    num = points.shape[0]
    place = (points + 1) * (size - 1) / 2
    first = jnp.clip(jnp.floor(place), 0, size - 2).astype(jnp.int32)
    corner = jnp.array([[0, 0], [0, 1], [1, 0], [1, 1]], jnp.int32)
    node = first[:, None] + corner[None]
    apart = jnp.sum((node.astype(place.dtype) - place[:, None]) ** 2, -1)
    steps = (2**31 - 1) // num - 1
    near = (jnp.clip(1 - apart / 2, 0.0, 1.0) * min(steps, 2**16)).astype(jnp.int32)
    claim = jnp.where(mask[:, None], near * num + jnp.arange(num, dtype=jnp.int32)[:, None], -1)
    best = jnp.full((size, size), -1, jnp.int32).at[node[..., 1], node[..., 0]].max(claim)
    value = jnp.where(best < 0, 0.0, values[jnp.maximum(best, 0) % num])
    return (best >= 0).astype(values.dtype), value
