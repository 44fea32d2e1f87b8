"""Small boundary value problems with known quadratic solutions, quick to compile."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from metajax.core import Task
from metajax.physics.pde import Boundary, Grids, Jet, Points, mark, nodes
from metajax.systems.hypino import Config, Inputs, Scored

CONFIG = Config(
    grid=8, interior=6, boundary=8, width=4, depths=(1,), heads=(1,), window=2, head_hidden=3,
    target_width=4, target_layers=1, tasks_per_step=2, first_phase=2, steps=4, rounds=(1,),
)  # fmt: skip


def quadratics(key) -> Task:
    """``L u = f`` on the square, ``u`` given below and above and ``du/dn`` on the sides."""
    draw = jax.random.uniform(key, (5 + 6 + 2 * 6 + 8,), minval=-1.0)
    c, w = draw[:5], draw[5:11]

    def jet(points) -> Jet:
        x, y = points[..., 0], points[..., 1]
        full = lambda value: jnp.broadcast_to(value, x.shape)  # noqa: E731
        u = w[0] + w[1] * x + w[2] * y + w[3] * x * x + w[4] * x * y + w[5] * y * y
        return Jet(
            u, w[1] + 2 * w[3] * x + w[4] * y, w[2] + w[4] * x + 2 * w[5] * y,
            full(2 * w[3]), full(w[4]), full(2 * w[5]),
        )  # fmt: skip

    def source(points):
        u = jet(points)
        return c[0] * u.u + c[1] * u.x + c[2] * u.y + c[3] * u.xx + c[4] * u.yy

    inside, along = draw[11:23].reshape(6, 2), draw[23:]
    side = jnp.arange(8) % 4  # left, right, bottom, top
    sign = jnp.where(side % 2 == 0, -1.0, 1.0)
    upright = side < 2
    edge = jnp.where(upright[:, None], jnp.stack([sign, along], -1), jnp.stack([along, sign], -1))
    zero = jnp.zeros_like(sign)
    normals = jnp.where(upright[:, None], jnp.stack([sign, zero], -1), jnp.stack([zero, sign], -1))
    on_edge = jet(edge)
    flux = on_edge.x * normals[:, 0] + on_edge.y * normals[:, 1]
    points = Points(
        inside, source(inside), Boundary(edge, normals, side.astype(jnp.int32)),
        jnp.where(upright, 0.0, on_edge.u), ~upright, jnp.where(upright, flux, 0.0), upright,
    )  # fmt: skip
    grids = Grids(
        source(nodes(CONFIG.grid)),
        *mark(edge, points.dirichlet, points.dirichlet_mask, CONFIG.grid),
        *mark(edge, points.neumann, points.neumann_mask, CONFIG.grid),
    )
    scored = Scored(points, jet(inside), jnp.array(True), jnp.array(True))
    return Task(Inputs(c, grids), scored)
