"""Small boundary value problems with known quadratic solutions, quick to compile."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from metajax.core import Task
from metajax.nn import PINN, Jet
from metajax.physics.pde import (
    PDE,
    Boundary,
    Grids,
    Points,
    Square,
    apply_operator,
    mark,
    nodes,
    normal_derivative,
    sample,
)
from metajax.systems import build, configure
from metajax.systems.hypino import Inputs
from metajax.systems.hypino.tasks import Scored

CONFIG = configure(
    "hypino",
    grid=8,
    interior=6,
    boundary=8,
    width=4,
    depths=(1,),
    heads=(1,),
    window=2,
    head_hidden=3,
    target_width=4,
    target_layers=1,
    tasks_per_step=2,
    first_phase=2,
    steps=4,
    rounds=(1,),
)
METHOD = build(CONFIG).method
TARGET = METHOD.parts.function


def quadratics(key) -> Task:
    """``L u = f`` on the square, ``u`` given below and above and ``du/dn`` on the sides."""
    draw = jax.random.uniform(key, (5 + 6 + 2 * 6 + 8,), minval=-1.0)
    c, w = draw[:5], draw[5:11]

    def jet(points) -> Jet:
        x, y = points[..., 0], points[..., 1]

        def full(value):
            return jnp.broadcast_to(value, x.shape)

        u = w[0] + w[1] * x + w[2] * y + w[3] * x * x + w[4] * x * y + w[5] * y * y
        return Jet(
            u,
            w[1] + 2 * w[3] * x + w[4] * y,
            w[2] + w[4] * x + 2 * w[5] * y,
            full(2 * w[3]),
            full(w[4]),
            full(2 * w[5]),
        )

    def source(points):
        return apply_operator(c, jet(points))

    inside, along = draw[11:23].reshape(6, 2), draw[23:]
    side = jnp.arange(8) % 4  # left, right, bottom, top
    sign = jnp.where(side % 2 == 0, -1.0, 1.0)
    upright = side < 2
    edge = jnp.where(upright[:, None], jnp.stack([sign, along], -1), jnp.stack([along, sign], -1))
    zero = jnp.zeros_like(sign)
    normals = jnp.where(upright[:, None], jnp.stack([sign, zero], -1), jnp.stack([zero, sign], -1))
    on_edge = jet(edge)
    flux = normal_derivative(on_edge, normals)
    points = Points(
        inside,
        source(inside),
        Boundary(edge, normals, side.astype(jnp.int32)),
        jnp.where(upright, 0.0, on_edge.u),
        ~upright,
        jnp.where(upright, flux, 0.0),
        upright,
    )
    grids = Grids(
        source(nodes(CONFIG.grid)),
        *mark(edge, points.dirichlet, points.dirichlet_mask, CONFIG.grid),
        *mark(edge, points.neumann, points.neumann_mask, CONFIG.grid),
    )
    weights = jnp.array(CONFIG.weights_second)
    scored = Scored(points, jet(inside), jnp.array(True), jnp.array(True), weights)
    return Task(Inputs(c, grids), scored)


COEFFICIENTS = np.array([0.5, -1.0, 0.25, 1.0, 2.0])


def monomials(points):
    """1, x, y, x^2, xy, y^2 and their derivatives."""
    x, y = points[:, 0], points[:, 1]
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)

    def stack(*columns):
        return jnp.stack(columns, -1)

    return Jet(
        u=stack(one, x, y, x * x, x * y, y * y),
        x=stack(zero, one, zero, 2 * x, y, zero),
        y=stack(zero, zero, one, zero, x, 2 * y),
        xx=stack(zero, zero, zero, 2 * one, zero, zero),
        xy=stack(zero, zero, zero, zero, one, zero),
        yy=stack(zero, zero, zero, zero, zero, 2 * one),
    )


def combine(weights, points):
    return jax.tree.map(lambda leaf: leaf @ weights, monomials(points))


WEIGHTS = np.array([0.3, -0.2, 0.7, 0.5, -0.4, 0.1])
QUADRATIC = PINN(
    lambda key, points: jnp.zeros(6),
    lambda weights, points: combine(weights, points).u[:, None],
    lambda weights, points: (
        jax.tree.map(lambda leaf: leaf[:, None], combine(weights, points)),
        monomials(points),
    ),
)


def quadratic_problem():
    """A problem that a quadratic solves, with Neumann data on one edge, and points of it."""

    def u(x, y):
        return combine(WEIGHTS, jnp.stack([x, y], -1)).u

    def source(x, y):
        return apply_operator(COEFFICIENTS, combine(WEIGHTS, jnp.stack([x, y], -1)))

    def right(x, y):
        return combine(WEIGHTS, jnp.stack([x, y], -1)).x

    pde = PDE(
        COEFFICIENTS,
        source=source,
        domain=Square(),
        dirichlet={"left": u, "bottom": u, "top": u},
        neumann={"right": right},
    )
    return pde, jax.jit(lambda key: sample(pde, key, 60, 80))(jax.random.key(0))
