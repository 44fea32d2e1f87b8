"""Fine-tuning a network on the one problem that it was generated for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from metajax.core import ConfigError, Examples, Network, Params, optimizer_step, prepare_optimizer
from metajax.nn import PINN, Jet
from metajax.physics.pde import Points
from metajax.systems.hypino.learner import equation_losses
from metajax.systems.hypino.network import solution
from metajax.systems.hypino.refinement import Ensemble

WEIGHTS = 0.1, 10.0, 1.0
"""Of residual, Dirichlet and Neumann losses: those of the second phase of training."""


class Tuned(NamedTuple):
    """What fine-tuning made.

    Attributes:
      weights: of the network after the last step.
      loss: before each recorded step.
      watched: what ``watch`` gave before each, on a leading axis.
    """

    weights: Params
    loss: Float[Array, " records"]
    watched: Any


def equation_loss(
    outputs: tuple[Jet, Jet], targets: tuple[Float[Array, "5"], Points]
) -> Float[Array, ""]:
    """Return how badly a solution holds: the weighted losses of equation and boundary data.

    Args:
      outputs: the solution inside and on the edge.
      targets: coefficients, and the points with source and data.

    Returns:
      A scalar.
    """
    coefficients, points = targets
    residual, dirichlet, neumann = equation_losses(coefficients, *outputs, points)
    return WEIGHTS[0] * residual + WEIGHTS[1] * dirichlet + WEIGHTS[2] * neumann


def as_network(target: PINN, many: bool = False) -> Network:
    """Make a network of a target that reads :class:`~metajax.physics.pde.Points` of one problem.

    Its outputs are the solution's jets inside and on the edge, which :func:`equation_loss`
    takes: every learner of networks, Reptile for one, learns starts for solutions from it. With
    ``many`` the weights are those of several networks, on a leading axis, and their sum is it.

    Args:
      target: the network of a solution.
      many: weights of several networks.

    Returns:
      The network.
    """

    def u(weights: Params, points: Float[Array, "n 2"]) -> Jet:
        if many:
            return Ensemble(weights).derivatives(target, points)
        return solution(target, weights, points)

    def apply(weights: Params, points: Points) -> tuple[Jet, Jet]:
        return u(weights, points.interior), u(weights, points.boundary.points)

    return Network(lambda key, points: target.init(key, points.interior), apply)


def as_examples(coefficients: Float[Array, "5"], points: Points) -> Examples:
    """Return one problem as what :func:`as_network` and :func:`equation_loss` learn from.

    Args:
      coefficients: of the equation.
      points: with their data.

    Returns:
      The examples.
    """
    return Examples(points, (coefficients, points))


def adam(steps: int, learning_rate: float = 1e-4) -> optax.GradientTransformation:
    """Make Adam whose rate falls along a cosine to a thousandth (arXiv 2509.05117, section 5).

    Args:
      steps: of the fine-tuning.
      learning_rate: at first.

    Returns:
      The optimizer.
    """
    return optax.adam(optax.cosine_decay_schedule(learning_rate, steps, alpha=1e-3))


def tuning_curves(
    target: PINN,
    starts: Params,
    problem: Examples,
    optimizer: optax.GradientTransformation,
    error: Callable[[Params], Float[Array, ""]],
    *,
    steps: int,
    every: int,
) -> tuple[Float[Array, "starts records"], Params]:
    """Fine-tune several starts, on a leading axis, on one problem and record their errors.

    ``error`` is a function of one network's weights; the others are those of :func:`finetune`.
    Returns the errors after 0, ``every``, 2 ``every``, ... ``steps`` steps, and the weights in the
    end.

    Args:
      target: the network of a solution.
      starts: weights, on a leading axis.
      problem: as :func:`as_examples` gives it.
      optimizer: of the fine-tuning.
      error: of one network's weights.
      steps: in all.
      every: steps from one error to the next.

    Returns:
      The errors and the last weights.
    """

    def one(weights: Params) -> tuple[Array, Params]:
        found = finetune(
            as_network(target), weights, problem, optimizer, steps=steps, every=every, watch=error
        )
        return jnp.append(found.watched, error(found.weights)), found.weights

    return jax.vmap(one)(starts)


def finetune(
    network: Network,
    weights: Params,
    problem: Examples,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    every: int = 1,
    watch: Callable[[Params], Any] = lambda weights: (),
) -> Tuned:
    """Minimize :func:`equation_loss` of one problem from given weights, in one compiled scan.

    Args:
      network: as :func:`as_network` makes it.
      weights: where to begin, generated, random or meta-learned.
      problem: as :func:`as_examples` makes it; all of its points are used in every step.
      optimizer: any of optax; ``optax.lbfgs()``, with its line search, too.
      steps: how many.
      every: steps between records.
      watch: a function of the weights to record in addition to the loss.

    Returns:
      The weights, and the losses on the way.

    Raises:
      ConfigError: ``steps`` is not a multiple of ``every``, or either is below 1.
    """
    if every < 1 or steps < 1 or steps % every:
        raise ConfigError("steps", (steps, every), "a multiple of every, both 1 or more")
    rule = prepare_optimizer(optimizer, has_function=True)

    def loss(weights: Params) -> Array:
        return equation_loss(network.apply(weights, problem.inputs), problem.targets)

    def step(state: tuple[Params, Any], _: None) -> tuple[tuple[Params, Any], Array]:
        weights, inner = state
        value, grad = jax.value_and_grad(loss)(weights)
        return optimizer_step(rule, weights, inner, grad, value=value, value_fn=loss), value

    def record(state: tuple[Params, Any], _: None) -> Any:
        seen = watch(state[0])
        state, values = jax.lax.scan(step, state, length=every)
        return state, (values[0], seen)

    start = weights, rule.init(weights)
    (weights, _), (losses, watched) = jax.lax.scan(record, start, length=steps // every)
    return Tuned(weights, losses, watched)
