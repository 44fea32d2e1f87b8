"""Solve one problem, and say how far the result can be trusted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import register_dataclass
from jaxtyping import Array, Float

from metajax.core import ConfigError, Params, cast_floats, float64_on_cpu
from metajax.nn import Jet
from metajax.physics.pde import (
    PDE,
    Points,
    apply_operator,
    nodes,
    normal_derivative,
    rasterise,
    sample,
)
from metajax.systems.hypino.evaluate import GeneratedFeatures
from metajax.systems.hypino.finetuning import adam, as_examples, as_network, finetune
from metajax.systems.hypino.least_squares import (
    Features,
    Together,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino.model import Model
from metajax.systems.hypino.network import Inputs, make_network, make_target
from metajax.systems.hypino.refinement import Ensemble, refine

SCALES = (1.0, 2.0, 4.0, 8.0)
"""Of random features; the one whose residual on other points is least is taken."""
TRIED = 500
"""Features that a scale is judged by."""
POINTS = 4096, 2048
"""Interior and boundary points that are fitted, and as many others that are checked."""
UNTOUCHED = 0.9
"""Share of the source from which on what is left of it is as much as 0 everywhere would leave."""
TRAINED_UP_TO, TRAINED_TERMS = 2.0, 3
"""Largest coefficient and number of terms of the operators that hypernetworks are trained on."""


class Solved(NamedTuple):
    """A solution on the nodes of a grid, and how well it keeps the equation on other points.

    Attributes:
      u: the solution; NaN outside the domain. ``[row, column]`` is ``(y, x)``.
      residual: of the equation, likewise.
      residual_rms: its root mean square at points that were not fitted.
      dirichlet_rms: of the boundary data's error there; NaN where there are none.
      neumann_rms: likewise.
      source_rms: root mean square of the source, to compare the residual with.
      scale: of the random features; NaN without any.
    """

    u: Float[np.ndarray, "size size"]
    residual: Float[np.ndarray, "size size"]
    residual_rms: float
    dirichlet_rms: float
    neumann_rms: float
    source_rms: float
    scale: float


@register_dataclass
@dataclass(frozen=True)
class Sum:
    """The sum of features: what several networks give together, as a single feature.

    Attributes:
      networks: whose outputs are added.
    """

    networks: GeneratedFeatures

    def __call__(self, points: Float[Array, "n 2"]) -> Jet:
        target = make_target(self.networks.config)
        u = Ensemble(self.networks.weights).derivatives(target, points)
        return jax.tree.map(lambda leaf: leaf[:, None], u)


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
) -> Solved:
    """Solve a linear problem, without or with a trained hypernetwork.

    Without one by least squares over random features in float64 on the CPU. With one, its
    networks, refined and fine-tuned as asked, are the solution, or their hidden layers more
    features for the least squares.

    Args:
      pde: the problem.
      features: random features; the solve takes time as their square. 0 with a model: none.
      size: nodes along a side of the grid that is returned.
      seed: of features and points.
      model: a trained hypernetwork.
      rounds: its refinements, 0 or more.
      tuning: steps of Adam on its networks together, then a tenth as many of L-BFGS.
      head: whether the output layers are solved for by least squares.

    Raises:
      ConfigError: ``features`` below 1 without a model's, ``size`` below 2, ``rounds`` or
        ``tuning`` below 0, either of them or no ``head`` without a ``model``.

    Warns:
      UserWarning: the operator is not of those that hypernetworks are trained on; or all boundary
        data are 0 and the networks' solution is no better than 0, which is what the shipped
        hypernetwork makes of a source alone.
    """
    if features < (0 if model and head else 1):
        raise ConfigError("features", features, "1 or more")
    if size < 2:
        raise ConfigError("size", size, "2 or more")
    for name, number in (("rounds", rounds), ("tuning", tuning)):
        if number < 0 or (number and model is None):
            raise ConfigError(name, number, "0 or more, and 0 without a model")
    if model is None and not head:
        raise ConfigError("head", head, "True without a model")
    feature_key, fit_key, check_key = jax.random.split(jax.random.key(seed), 3)
    networks = None if model is None else generate(model, pde, fit_key, rounds, tuning)
    with float64_on_cpu():
        exact = cast_floats(jax.tree.map(np.asarray, pde), np.float64)
        draw = jax.jit(lambda key, pde: sample(pde, key, *POINTS))
        fitted, checked = draw(fit_key, exact), draw(check_key, exact)

        def drawn(num: int, scale: float) -> Features:
            return random_features(feature_key, num, scale, jnp.float64)

        def attempt(used: Features) -> tuple[Array, tuple[Array, ...]]:
            return fit(exact.coefficients, fitted, checked, used)

        scale, parts = np.nan, []
        if networks is not None:
            parts.append(cast_floats(jax.device_get(networks), np.float64))
        if head and features:
            few = min(TRIED, features)
            off = [total(attempt(with_constant(drawn(few, scale)))[1]) for scale in SCALES]
            scale = SCALES[int(np.argmin(off))]
            parts.append(drawn(features, scale))
        if head:
            made = with_constant(Together(tuple(parts)))
            weights, found = attempt(made)
        else:
            made, weights = Sum(parts[0]), jnp.ones(1)
            found = jax.jit(errors)(exact.coefficients, checked, made, weights)
            warn_of_nothing(checked, found)

        @jax.jit
        def everywhere(pde: PDE, made: Features, weights: Array) -> tuple[Array, Array]:
            where = nodes(size).reshape(-1, 2)
            values = jax.tree.map(lambda leaf: leaf @ weights, made(where))
            residual = apply_operator(pde.coefficients, values) - pde.source(where)
            inside = pde.domain.distance(where) <= 1e-9
            u = jnp.where(inside, values.u, jnp.nan)
            return u, jnp.where(inside, residual, jnp.nan)

        maps = everywhere(exact, made, weights)
        u, residual = (np.asarray(leaf).reshape(size, size) for leaf in maps)
    residual_rms, dirichlet_rms, neumann_rms, source_rms = map(float, found)
    return Solved(u, residual, residual_rms, dirichlet_rms, neumann_rms, source_rms, scale)


@jax.jit
def fit(
    coefficients: Float[Array, "5"], fitted: Points, checked: Points, used: Features
) -> tuple[Array, tuple[Array, ...]]:
    """The best combination of features, and its errors at other points."""
    weights = solve_head(coefficients, fitted, used)
    return weights, errors(coefficients, checked, used, weights)


def generate(model: Model, pde: PDE, key: Array, rounds: int, tuning: int) -> GeneratedFeatures:
    """The networks that a hypernetwork makes of a problem, in float32 on the default device."""
    config = model.config
    terms = np.asarray(pde.coefficients)
    if np.abs(terms).max() > TRAINED_UP_TO or np.count_nonzero(terms) > TRAINED_TERMS:
        warnings.warn(
            f"coefficients = {terms.tolist()}: hypernetworks are trained on operators of up to "
            f"{TRAINED_TERMS} terms between {-TRAINED_UP_TO:g} and {TRAINED_UP_TO:g}; divide the "
            "equation by a number, or see what its residual says of the solution",
            stacklevel=3,
        )
    network, target = make_network(config), make_target(config)

    @jax.jit
    def run(params: Params, pde: PDE, key: Array) -> Params:
        points = sample(pde, key, *POINTS)
        inputs = Inputs(pde.coefficients, rasterise(pde, points, config.grid))
        ensemble = refine(lambda x: network.apply(params, x), target, inputs, points, rounds)
        weights = ensemble.weights
        if tuning:
            together = as_network(target, many=True)
            problem = as_examples(pde.coefficients, points)
            weights = finetune(together, weights, problem, adam(tuning), steps=tuning).weights
            polish = max(tuning // 10, 1)
            weights = finetune(together, weights, problem, optax.lbfgs(), steps=polish).weights
        return weights

    single = cast_floats(jax.tree.map(np.asarray, pde), np.float32)
    return GeneratedFeatures(run(model.params, single, key), config)


def errors(
    coefficients: Float[Array, "5"], points: Points, features: Features, weights: Array
) -> tuple[Array, ...]:
    """Root mean squares of residual, Dirichlet and Neumann errors, and of the source."""
    inside, edge = (
        jax.tree.map(lambda leaf: leaf @ weights, features(at))
        for at in (points.interior, points.boundary.points)
    )

    def rms(off: Array, mask: Array | None = None) -> Array:
        return jnp.sqrt(jnp.mean(off**2, where=mask))

    return (
        rms(apply_operator(coefficients, inside) - points.source),
        rms(edge.u - points.dirichlet, points.dirichlet_mask),
        rms(normal_derivative(edge, points.boundary.normals) - points.neumann, points.neumann_mask),
        rms(points.source),
    )


def warn_of_nothing(points: Points, found: tuple[Any, ...]) -> None:
    """Warn where u = 0 keeps all boundary data, and the equation as well as a solution does."""
    residual, _, _, source = map(float, found)
    data = np.any(points.dirichlet) or np.any(points.neumann)
    if not data and source > 0 and residual >= UNTOUCHED * source:
        warnings.warn(
            f"residual_rms = {residual:.3g} of a source of {source:.3g}: where all boundary data "
            "are 0 the source alone makes the solution, and this hypernetwork's is no better than "
            "0 everywhere; solve without a model, by least squares (head), or fine-tune it",
            stacklevel=3,
        )


def total(found: tuple[Any, ...]) -> float:
    """What a scale is judged by: as the solve weighs equation and boundary."""
    residual, dirichlet, neumann, _ = map(float, found)
    return residual**2 + 100 * float(np.nan_to_num(dirichlet) ** 2 + np.nan_to_num(neumann) ** 2)
