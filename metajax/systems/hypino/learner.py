"""The losses of a generated solution, the learner, and its training in two phases."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int32, Key

from metajax.core import (
    Algorithm,
    GradientState,
    MetaLearner,
    Params,
    Task,
    gradient,
)
from metajax.nn import Derivatives
from metajax.physics.pde import Points
from metajax.systems.hypino.config import Config
from metajax.systems.hypino.network import Inputs, make_network, make_target
from metajax.systems.hypino.tasks import ProblemTasks, Scored, make_tasks

PARTS = ("residual", "solution", "gradient", "second", "dirichlet", "neumann")
"""The six losses, in the order of the config's weights."""


def operator(coefficients: Float[Array, "5"], u: Derivatives) -> Float[Array, "*batch outputs"]:
    """``c1 u + c2 u_x + c3 u_y + c4 u_xx + c5 u_yy``."""
    c = coefficients
    return c[0] * u.value + c[1] * u.x + c[2] * u.y + c[3] * u.xx + c[4] * u.yy


def normal_derivative(u: Derivatives, normals: Float[Array, "n 2"]) -> Float[Array, "n outputs"]:
    """``du/dn`` at points of the boundary."""
    return u.x * normals[:, :1] + u.y * normals[:, 1:]


class Losses(NamedTuple):
    """One number each; see :data:`PARTS`."""

    residual: Float[Array, ""]
    solution: Float[Array, ""]
    gradient: Float[Array, ""]
    second: Float[Array, ""]
    dirichlet: Float[Array, ""]
    neumann: Float[Array, ""]


def huber(off: Float[Array, "..."]) -> Float[Array, ""]:
    """The mean Huber loss (delta 1) of differences."""
    return jnp.mean(optax.losses.huber_loss(off))


def masked(off: Float[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, ""]:
    """The mean Huber loss where the mask admits it, 0 if nowhere."""
    each = jnp.where(mask, optax.losses.huber_loss(jnp.where(mask, off, 0.0)), 0.0)
    return jnp.sum(each) / jnp.maximum(jnp.sum(mask.astype(off.dtype)), 1.0)


def losses(
    coefficients: Float[Array, "5"], inside: Derivatives, edge: Derivatives, scored: Scored
) -> Losses:
    """The six losses of a solution's derivatives inside and on the edge (arXiv 2509.05117, eq. 6).

    Huber losses of the equation's residual, of both kinds of boundary data and, where the solution
    is known, of its values, gradient and second derivatives (a Sobolev loss of second order).
    """
    points: Points = scored.points
    true = scored.solution
    known = scored.supervised.astype(true.u.dtype)
    off = lambda found, wanted: found[:, 0] - wanted  # noqa: E731
    return Losses(
        huber(operator(coefficients, inside)[:, 0] - points.source),
        known * huber(off(inside.value, true.u)),
        known * huber(jnp.stack([off(inside.x, true.x), off(inside.y, true.y)])),
        known * huber(
            jnp.stack(
                [off(inside.xx, true.xx), off(inside.xy, true.xy), off(inside.yy, true.yy)]
            )
        ),
        masked(edge.value[:, 0] - points.dirichlet, points.dirichlet_mask),
        masked(
            normal_derivative(edge, points.boundary.normals)[:, 0] - points.neumann,
            points.neumann_mask,
        ),
    )  # fmt: skip


def make_learner(config: Config, weights: Float[Array, "6"] | None = None) -> MetaLearner:
    """The learner whose adapting is one pass of the hypernetwork.

    ``adapt`` takes :class:`~metajax.systems.hypino.network.Inputs`, ``predict`` points ``[n, 2]``
    and returns u and its derivatives there. A problem that is not valid has a loss of 0.

    Args:
      config: the settings.
      weights: of the six losses; those of the second phase by default.
    """
    network, target = make_network(config), make_target(config)
    if weights is None:
        weights = jnp.asarray(config.weights_second, jnp.float32)

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key, task.support)

    def adapt(params: Params, support: Inputs, key: Key[Array, ""]) -> Params:
        return network.apply(params, support)

    def predict(params: Params, adapted: Params, points: Float[Array, "n 2"]) -> Derivatives:
        return target.derivatives(adapted, points)[0]

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        adapted = adapt(params, task.support, key)
        points = task.query.points
        inside = predict(params, adapted, points.interior)
        edge = predict(params, adapted, points.boundary.points)
        parts = losses(task.support.coefficients, inside, edge, task.query)
        # where and not times: a problem out of bounds may be infinite
        parts = jax.tree.map(lambda part: jnp.where(task.query.valid, part, 0.0), parts)
        total = jnp.sum(weights * jnp.stack(parts))
        metrics = {**parts._asdict(), "valid": task.query.valid.astype(jnp.float32)}
        return total, metrics

    return MetaLearner(init, adapt, predict, loss)


class CurriculumState(NamedTuple):
    """How far training is, and what :func:`metajax.core.gradient` keeps."""

    done: Int32[Array, ""]
    inner: GradientState


def make_algorithm(config: Config) -> Algorithm:
    """AdamW on the losses, in two phases, drawing each problem inside the step.

    Of :class:`~metajax.systems.hypino.tasks.ProblemKeys`. What the phases differ in, the weights
    of the losses and the share of problems without a known solution, is traced: nothing compiles
    anew between them.
    """
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            optax.cosine_decay_schedule(config.learning_rate, config.steps, alpha=0.01),
            weight_decay=config.weight_decay,
        ),
    )
    first, second = (
        jnp.asarray(weights, jnp.float32)
        for weights in (config.weights_first, config.weights_second)
    )

    def problems(done: Int32[Array, ""]) -> ProblemTasks:
        fresh = done < config.first_phase
        tasks = make_tasks(config)
        supervised = jnp.where(fresh, 1.0, 1.0 - config.unsupervised).astype(jnp.float32)
        return ProblemTasks(
            supervised, tasks.homogeneous, tasks.grid, tasks.interior, tasks.boundary
        )

    def drawn(done: Int32[Array, ""], task: Task) -> Task:
        return problems(done)(jax.random.wrap_key_data(task.support))

    def phase(done: Int32[Array, ""]) -> Algorithm:
        weights = jnp.where(done < config.first_phase, first, second)
        return gradient(make_learner(config, weights), optimizer)

    def init(key: Key[Array, ""], task: Task) -> CurriculumState:
        done = jnp.int32(0)
        return CurriculumState(done, phase(done).init(key, drawn(done, task)))

    def update(
        state: CurriculumState, tasks: Task, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[CurriculumState, dict[str, Any]]:
        batch = jax.vmap(drawn, (None, 0))(state.done, tasks)
        inner, metrics = phase(state.done).update(state.inner, batch, key, axis_name)
        return CurriculumState(state.done + 1, inner), metrics

    return Algorithm(init, update, lambda state: state.inner.params)
