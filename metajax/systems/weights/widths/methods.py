"""Methods for the condition ``widths``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import jax
import optax
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import Count, Decay, MetaLearner, Network, NonNegative, Params, Range
from metajax.hypernet import shared_implicit
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training
from metajax.systems.weights.widths.settings import Stages, stage_steps
from metajax.units import keep_first, keep_largest, mlp_units

STAGES = Stages()


def neumeta(
    problem: Problem,
    training: Training,
    *,
    stages: Stages = STAGES,
    function_width: Count = 48,
    depth: Count = 3,
    octaves: Count = 4,
    average: Decay = 0.995,
    noise: Annotated[float, Range(0)] = 0.0,
    draws: Count = 100,
    smooth: bool = True,
    rest: bool = True,
    reconstruct: NonNegative = 1.0,
    shrink: NonNegative = 1e-4,
) -> Method:
    """Generate weights of any width by their coordinates (NeuMeta, arXiv 2410.11878).

    Args:
      function_width: Size of the layers of the function that gives the weights.
      depth: Residual layers of that function.
      octaves: Octaves of a unit's coordinate; the more, the less neighbors depend on each other.
      average: Decay of the average over steps of training at widths that is used; 0: none.
      noise: How far coordinates move in training at widths, units to either side.
      draws: Draws of noisy coordinates whose mean is used, where there is noise.
      smooth: Put the units of the full network in an order in which neighbors are alike.
      rest: In training at widths, train the layers that are not generated too.
      reconstruct: Factor of the distance from the full network's weights.
      shrink: Factor of the mean square of generated weights.
    """
    units = mlp_units(jax.eval_shape(problem.start, jax.random.key(0)))
    parts = learners.metamorphosis(
        problem.network,
        problem.start,
        units,
        problem.varied,
        hidden=function_width,
        depth=depth,
        noise=noise,
        draws=draws,
        octaves=octaves,
        smooth=smooth,
        rest=rest,
        reconstruct=reconstruct,
        shrink=shrink,
    )
    steps = stage_steps(stages, training.steps)
    fit = dataclasses.replace(training, learning_rate=stages.fit_lr)

    def optimizer(stage: int) -> optax.GradientTransformation:
        return (training, fit, training)[stage].make_optimizer(steps[stage])

    algorithm = learners.in_stages(parts.in_steps(*steps), optimizer)
    algorithm = learners.with_average(algorithm, average, after=steps[0] + steps[1])
    return Method(algorithm, parts.widths)


def slimmable(problem: Problem, training: Training, *, average: Decay = 0.0) -> Method:
    """Train weights of which every width takes the first units (Yu et al. 2019, arXiv 1812.08928).

    The baseline that needs no hypernetwork.

    Args:
      average: Decay of the average of the weights over steps that is used; 0: none.
    """
    hypernet = Network(lambda key, width: problem.start(key), kept(problem, keep_first))
    learner = learners.generated_network(hypernet, problem.network)
    return Method(learners.with_average(training.descend(learner), average), learner)


def slimmable_corrected(
    problem: Problem,
    training: Training,
    *,
    function_width: Count = 48,
    depth: Count = 3,
    octaves: Count = 4,
    average: Decay = 0.995,
) -> Method:
    """Correct shared weights by a function of coordinates, after NeuMeta (arXiv 2410.11878).

    It starts as the slimmable network, and is not the published form.

    Args:
      function_width: Size of the layers of the function that corrects the weights.
      depth: Residual layers of that function.
      octaves: Octaves of a unit's coordinate.
      average: Decay of the average of the weights over steps that is used; 0: none.
    """
    units = mlp_units(jax.eval_shape(problem.start, jax.random.key(0)))
    function = shared_implicit(
        problem.start,
        units,
        [problem.varied],
        hidden=function_width,
        depth=depth,
        octaves=octaves,
    )

    def init(key: Key[Array, ""], width: Any) -> Params:
        return function.init(key, {problem.varied: width})

    def apply(params: Params, width: Any) -> Params:
        return function.apply(params, {problem.varied: width})

    learner = learners.generated_network(Network(init, apply), problem.network)
    return Method(learners.with_average(training.descend(learner), average), learner)


def trained_alone(
    problem: Problem,
    training: Training,
    *,
    alone_widths: tuple[Count, ...] = (4, 8, 16, 18, 22, 26, 30, 32),
    average: Decay = 0.0,
) -> Method:
    """Train a network of its own for each width, all with as many steps: a baseline.

    Args:
      alone_widths: Widths of these networks; all widths that are measured are among them.
      average: Decay of the average of the weights over steps that is used; 0: none.
    """
    learner = learners.networks_alone(problem.network_of, alone_widths)
    return Method(learners.with_average(training.descend(learner), average), learner)


def first_units(problem: Problem, training: Training) -> MetaLearner:
    """Train the full network, then take its first units: a baseline."""
    return pruned(problem, keep_first)


def largest_norm(problem: Problem, training: Training) -> MetaLearner:
    """Train the full network, then take the units of the largest norms: a baseline."""
    return pruned(problem, keep_largest)


def kept(problem: Problem, keep: Callable[..., Params]) -> Callable[[Params, Any], Params]:
    """Return the function that keeps so many units of the layer whose width varies."""
    units = mlp_units(jax.eval_shape(problem.start, jax.random.key(0)))
    return lambda params, width: keep(params, units, {problem.varied: width})


def pruned(problem: Problem, keep: Callable[..., Params]) -> MetaLearner:
    """Return the learner that trains the full network and keeps some of its units."""
    take = kept(problem, keep)

    def adapt(params: Params, support: Any, key: Key[Array, ""]) -> Params:
        return take(params, support)

    return learners.one_network(problem.network)._replace(adapt=adapt)


METHODS: dict[str, Entry] = {
    "neumeta": neumeta,
    "slimmable": slimmable,
    "slimmable_corrected": slimmable_corrected,
    "trained_alone": trained_alone,
    "first_units": first_units,
    "largest_norm": largest_norm,
}
"""The default first."""
