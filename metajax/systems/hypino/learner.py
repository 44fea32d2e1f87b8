"""The losses of a generated solution, and the learner that minimizes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    ConfigError,
    MetaLearner,
    Network,
    Params,
    Task,
    as_arrays,
    check_type,
    checked_network,
    described,
)
from metajax.nn import PINN, Jet
from metajax.physics.pde import Grids, Points, apply_operator, normal_derivative
from metajax.systems.hypino.network import Inputs, solution
from metajax.systems.hypino.tasks import Scored

PARTS = ("residual", "solution", "gradient", "second", "dirichlet", "neumann")
"""The six losses, in the order of the settings' weights."""


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


def equation_losses(
    coefficients: Float[Array, "5"], inside: Jet, edge: Jet, points: Points
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Huber losses of the equation's residual and of Dirichlet and Neumann data."""
    flux = normal_derivative(edge, points.boundary.normals)
    return (
        huber(apply_operator(coefficients, inside) - points.source),
        masked(edge.u - points.dirichlet, points.dirichlet_mask),
        masked(flux - points.neumann, points.neumann_mask),
    )


def losses(coefficients: Float[Array, "5"], inside: Jet, edge: Jet, scored: Scored) -> Losses:
    """The six losses of a solution's jets inside and on the edge (arXiv 2509.05117, eq. 6).

    Huber losses of the equation's residual, of both kinds of boundary data and, where the solution
    is known, of its values, gradient and second derivatives (a Sobolev loss of second order).

    Args:
      coefficients: of the equation.
      inside: the solution's jet at interior points.
      edge: the solution's jet at boundary points.
      scored: the points, their data, and what is known of the solution.

    Returns:
      Six scalars.
    """
    residual, dirichlet, neumann = equation_losses(coefficients, inside, edge, scored.points)
    true = scored.solution
    known = scored.supervised.astype(true.u.dtype)
    off = jax.tree.map(jnp.subtract, inside, true)
    return Losses(
        residual,
        known * huber(off.u),
        known * huber(jnp.stack([off.x, off.y])),
        known * huber(jnp.stack([off.xx, off.xy, off.yy])),
        dirichlet,
        neumann,
    )


def check_inputs(field: str, inputs: Any, size: int) -> Inputs:
    """Return what the hypernetwork reads, as JAX arrays.

    Raises:
      ConfigError: it is something else, five coefficients or grids of another size among it.
    """
    check_type(field, inputs, Inputs)
    check_type(f"{field}.grids", inputs.grids, Grids)
    points = inputs.points
    inputs = Inputs(
        as_arrays(field, inputs.coefficients),
        as_arrays(field, inputs.grids),
        None if points is None else as_arrays(f"{field}.points", points),
    )
    if inputs.coefficients.shape != (5,):
        raise ConfigError(
            f"{field}.coefficients",
            described(inputs.coefficients),
            "5 numbers, of u, u_x, u_y, u_xx and u_yy",
        )
    for name, grid in inputs.grids._asdict().items():
        if grid.shape != (size, size):
            raise ConfigError(
                f"{field}.grids.{name}", described(grid), f"[{size}, {size}], the settings' grid"
            )
    return inputs


def check_points(field: str, points: Any) -> Float[Array, "n 2"]:
    """Return points as a JAX array.

    Raises:
      ConfigError: they are not ``float[n, 2]``.
    """
    points = as_arrays(field, points)
    is_array = isinstance(points, jax.Array)
    if not is_array or points.ndim != 2 or points.shape[-1] != 2:
        raise ConfigError(field, described(points), "points of the plane, [n, 2]")
    return points


def check_problem(task: Any, size: int) -> Task:
    """Return a task of a problem and what it is scored on.

    Raises:
      ConfigError: it is something else.
    """
    check_type("task", task, Task)
    check_type("task.query", task.query, Scored)
    return Task(check_inputs("task.support", task.support, size), task.query)


def make_learner(network: Network, target: PINN, size: int) -> MetaLearner:
    """Return the learner whose adapting is one pass of a network over a problem.

    ``adapt`` takes :class:`~metajax.systems.hypino.network.Inputs`, ``predict`` points ``[n, 2]``
    and returns u and its derivatives there, the jet of ``[n]``. The loss is the sum of the six, by
    the weights that the task is scored with; a problem that is not valid has a loss of 0.

    Args:
      network: from :class:`~metajax.systems.hypino.network.Inputs` to parameters of the target.
      target: what is the solution.
      size: nodes along a side of the images that the network reads.

    Raises:
      ConfigError: from its functions, for what is no task or does not fit.
    """
    network = checked_network(network)

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key, check_problem(task, size).support)

    def adapt(params: Params, support: Inputs, key: Key[Array, ""]) -> Params:
        return network.apply(params, check_inputs("support", support, size))

    def predict(params: Params, adapted: Params, points: Float[Array, "n 2"]) -> Jet:
        return solution(target, adapted, check_points("points", points))

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        task = check_problem(task, size)
        adapted = adapt(params, task.support, key)
        points = task.query.points
        inside = predict(params, adapted, points.interior)
        edge = predict(params, adapted, points.boundary.points)
        parts = losses(task.support.coefficients, inside, edge, task.query)
        # where and not times: a problem out of bounds may be infinite
        parts = jax.tree.map(lambda part: jnp.where(task.query.valid, part, 0.0), parts)
        total = jnp.sum(task.query.weights * jnp.stack(parts))
        metrics = {**parts._asdict(), "valid": task.query.valid.astype(jnp.float32)}
        return total, metrics

    return MetaLearner(init, adapt, predict, loss)
