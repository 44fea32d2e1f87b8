"""Solutions that are sums of networks: refinement by what is still wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from metajax.core import ConfigError, Params
from metajax.nn import PINN, Jet
from metajax.physics.pde import Grids, Points, apply_operator, mark, nodes, normal_derivative
from metajax.systems.hypino.network import Inputs, solution


class Ensemble(NamedTuple):
    """A solution that is the sum of several networks of one shape.

    Attributes:
      weights: of the networks, on a leading axis.
    """

    weights: Params

    def derivatives(self, target: PINN, points: Float[Array, "n 2"]) -> Jet:
        """The sum's value and derivatives at points, the jet of ``[n]``."""
        each = jax.vmap(lambda one: solution(target, one, points))(self.weights)
        return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), each)

    def features(self, target: PINN, points: Float[Array, "n 2"]) -> Jet:
        """The last hidden layers of all networks side by side, ``[n, networks * width]``."""
        each = jax.vmap(lambda one: target.derivatives(one, points)[1])(self.weights)
        return jax.tree.map(
            lambda leaf: jnp.moveaxis(leaf, 0, 1).reshape(points.shape[0], -1), each
        )


class Residuals(NamedTuple):
    """What a solution leaves of a problem: the data of the problem that its correction solves.

    Attributes:
      source: on the nodes of the images.
      interior: the equation's, at the interior points.
      dirichlet: at the boundary points.
      neumann: likewise.
    """

    source: Float[Array, "size size"]
    interior: Float[Array, " m"]
    dirichlet: Float[Array, " n"]
    neumann: Float[Array, " n"]


def refine(
    model: Callable[[Inputs], Params],
    target: PINN,
    inputs: Inputs,
    points: Points,
    rounds: int,
) -> Ensemble:
    """Solve a linear problem again and again for what is still wrong (arXiv 2509.05117, sec. 4).

    After a first solution, each round poses a new problem with the same operator and domain: its
    data are the residuals of the equation and of both kinds of boundary data. The model's solution
    of that problem is added. One program for all rounds; its length grows by one pass of the model
    a round. A model that is linear in the data and exact needs one round.

    Args:
      model: ``model(inputs) -> weights`` of the target, any operator model.
      target: the network that the weights are of.
      inputs: the problem.
      points: with their data, of which the images' boundary was made.
      rounds: corrections, 0 or more.

    Returns:
      The networks, whose sum is the solution.

    Raises:
      ConfigError: ``rounds`` below 0.
    """
    if rounds < 0:
        raise ConfigError("rounds", rounds, "0 or more")
    size = inputs.grids.source.shape[0]
    grid = nodes(size).reshape(-1, 2)
    where, coefficients = points.boundary.points, inputs.coefficients

    def problem(left: Residuals) -> Inputs:
        grids = Grids(
            left.source,
            *mark(where, left.dirichlet, points.dirichlet_mask, size),
            *mark(where, left.neumann, points.neumann_mask, size),
        )
        here = points._replace(source=left.interior, dirichlet=left.dirichlet, neumann=left.neumann)
        return Inputs(coefficients, grids, here)

    def step(left: Residuals, _: None) -> tuple[Residuals, Params]:
        weights = model(problem(left))
        found, inside, edge = (
            solution(target, weights, at) for at in (grid, points.interior, where)
        )
        flux = normal_derivative(edge, points.boundary.normals)
        less = Residuals(
            left.source - apply_operator(coefficients, found).reshape(size, size),
            left.interior - apply_operator(coefficients, inside),
            jnp.where(points.dirichlet_mask, left.dirichlet - edge.u, 0.0),
            jnp.where(points.neumann_mask, left.neumann - flux, 0.0),
        )
        return less, weights

    start = Residuals(inputs.grids.source, points.source, points.dirichlet, points.neumann)
    return Ensemble(jax.lax.scan(step, start, length=rounds + 1)[1])
