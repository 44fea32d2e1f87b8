"""One problem by a trained hypernetwork: its networks, refined, tuned, or with a solved head."""

from __future__ import annotations

import warnings
from functools import partial

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, MetaLearner, Params, cast_floats
from metajax.nn import PINN
from metajax.physics import solver
from metajax.physics.pde import PDE, Points, images, nodes, sample_points, values_at
from metajax.systems.hypino.features import HiddenFeatures, SummedNetworks
from metajax.systems.hypino.finetuning import adam, as_examples, as_network, finetune
from metajax.systems.hypino.model import Model
from metajax.systems.hypino.network import Inputs
from metajax.systems.hypino.refinement import refine

UNTOUCHED = 0.9
"""Share of the source from which on what is left of it is as much as 0 everywhere would leave."""
TRAINED_UP_TO, TRAINED_TERMS = 2.0, 3
"""Largest coefficient and number of terms of the operators that hypernetworks are trained on."""


def solve(
    pde: PDE,
    *,
    features: int = 2000,
    size: int = 129,
    seed: int = 0,
    model: Model | None = None,
    rounds: int = 0,
    tuning: int = 0,
    head: bool = True,
    most_seconds: float = solver.MOST_SECONDS,
    progress: bool = False,
) -> solver.Solved:
    """Solve a linear problem, without or with a trained hypernetwork.

    Without one it is :func:`metajax.physics.solver.solve`. With one, its networks, refined and
    fine-tuned as asked, are the solution, or their hidden layers more features for the least
    squares.

    Args:
      pde: the problem.
      features: random features; the solve takes time as their square. 0 with a model: none.
      size: nodes along a side of the grid that is returned.
      seed: of features and points.
      model: a trained hypernetwork.
      rounds: its refinements, 0 or more.
      tuning: steps of Adam on its networks together, then a tenth as many of L-BFGS.
      head: whether the output layers are solved for by least squares.
      most_seconds: of the least squares.
      progress: whether to show a progress bar.

    Returns:
      The solution with its residual and warnings.

    Raises:
      ConfigError: ``rounds`` or ``tuning`` below 0, either of them or no ``head`` without a
        ``model``; and see :func:`metajax.physics.solver.solve`.

    Warns:
      DoubtfulSolutionWarning: each of the solution's ``warnings``.
      UserWarning: hypernetworks are not trained on the operator; or all boundary data are 0 and the
        networks' solution is no better than 0, as the shipped hypernetwork's is for a source alone.
    """
    for name, number in (("rounds", rounds), ("tuning", tuning)):
        if number < 0 or (number and model is None):
            raise ConfigError(name, number, "0 or more, and 0 without a model")
    if model is None and not head:
        raise ConfigError("head", head, "True without a model")
    if model is not None:
        warn_of_operator(pde)

    def networks(key: Key[Array, ""]) -> solver.Features:
        assert model is not None
        made = generate(model, pde, key, rounds, tuning)
        return made if head else SummedNetworks(made.weights, made.target)

    found = solver.solve(
        pde,
        features=features,
        size=size,
        seed=seed,
        given=None if model is None else networks,
        head=head,
        most_seconds=most_seconds,
        progress=progress,
        stacklevel=3,
    )
    if not head:
        points = points_of(pde, jax.random.key(seed))
        warn_of_nothing(points, found.residual_rms, found.source_rms)
    return found


def generate(model: Model, pde: PDE, key: Array, rounds: int, tuning: int) -> HiddenFeatures:
    """The networks that a hypernetwork makes of a problem, in float32 on the default device."""
    size, method = model.config.grid, model.method
    single, points = in_float32(pde), points_of(pde, key)
    source = values_at(single.source, nodes(size).reshape(-1, 2)).reshape(size, size)
    inputs = single.coefficients, source, points
    target = method.parts.function
    weights = generate_weights(model.params, *inputs, method.learner, target, rounds, tuning)
    return HiddenFeatures(weights, target)


@partial(jax.jit, static_argnames=("learner", "target", "rounds", "tuning"))
def generate_weights(
    params: Params,
    coefficients: Float[Array, "5"],
    source: Float[Array, "size size"],
    points: Points,
    learner: MetaLearner,
    target: PINN,
    rounds: int,
    tuning: int,
) -> Params:
    """A hypernetwork's pass, its corrections and the tuning of its networks."""
    inputs, key = Inputs(coefficients, images(source, points), points), jax.random.key(0)
    weights = refine(
        lambda x: learner.adapt(params, x, key), target, inputs, points, rounds
    ).weights
    if tuning:
        together = as_network(target, many=True)
        problem = as_examples(coefficients, points)
        weights = finetune(together, weights, problem, adam(tuning), steps=tuning).weights
        polish = max(tuning // 10, 1)
        weights = finetune(together, weights, problem, optax.lbfgs(), steps=polish).weights
    return weights


def in_float32(pde: PDE) -> PDE:
    """The problem as hypernetworks read it."""
    return cast_floats(jax.tree.map(np.asarray, pde), np.float32)


def points_of(pde: PDE, key: Key[Array, ""]) -> Points:
    """Points of a problem in float32, as many as are fitted."""
    return sample_points(in_float32(pde), key, *solver.POINTS)


def warn_of_operator(pde: PDE) -> None:
    """Warn where an operator is not of those that hypernetworks are trained on."""
    coefficients = np.asarray(pde.coefficients)
    if np.abs(coefficients).max() > TRAINED_UP_TO or np.count_nonzero(coefficients) > TRAINED_TERMS:
        warnings.warn(
            f"coefficients = {coefficients.tolist()}: hypernetworks are trained on operators of up "
            f"to {TRAINED_TERMS} terms between {-TRAINED_UP_TO:g} and {TRAINED_UP_TO:g}; divide "
            "the equation by a number, or see what its residual says of the solution",
            stacklevel=3,
        )


def warn_of_nothing(points: Points, residual: float, source: float) -> None:
    """Warn where u = 0 keeps all boundary data, and the equation as well as a solution does.

    Args:
      points: of the problem, for its data.
      residual: root mean square of what the solution leaves of the equation.
      source: that of the source.
    """
    data = np.any(points.dirichlet) or np.any(points.neumann)
    if not data and source > 0 and residual >= UNTOUCHED * source:
        warnings.warn(
            f"residual_rms = {residual / source:.3g} of the source's: where all boundary data are "
            "0 the source alone makes the solution, and this hypernetwork's is no better than 0 "
            "everywhere; solve without a model, by least squares (head), or fine-tune it",
            stacklevel=3,
        )
