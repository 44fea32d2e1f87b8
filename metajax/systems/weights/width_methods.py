"""Methods for the condition ``widths``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import jax
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import Count, MetaLearner, Network, NonNegative, Params, Range
from metajax.systems.base import Entry, Method
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Training
from metajax.systems.weights.width_settings import Stages, stage_steps
from metajax.units import keep_first, keep_largest, mlp_units

STAGES = Stages()


def neumeta(
    problem: Problem,
    training: Training,
    *,
    stages: Stages = STAGES,
    function_width: Count = 48,
    depth: Count = 3,
    noise: Annotated[float, Range(0)] = 0.0,
    smooth: bool = True,
    reconstruct: NonNegative = 1.0,
    shrink: NonNegative = 1e-4,
) -> Method:
    """Generate weights of any width by their coordinates (NeuMeta, arXiv 2410.11878).

    Args:
      function_width: Size of the layers of the function that gives the weights.
      depth: Residual layers of that function.
      noise: How far coordinates move in training at widths, units to either side.
      smooth: Put the units of the full network in an order in which neighbors are alike.
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
        smooth=smooth,
        reconstruct=reconstruct,
        shrink=shrink,
    )
    steps = stage_steps(stages, training.steps)
    run = [
        learners.Stage(learner, each, parts.trained(index))
        for index, (learner, each) in enumerate(zip(parts, steps, strict=True))
    ]
    algorithm = learners.in_stages(run, lambda stage: training.make_optimizer(steps[stage]))
    return Method(algorithm, parts.widths)


def slimmable(problem: Problem, training: Training) -> MetaLearner:
    """Train weights of which every width takes the first units (Yu et al. 2019, arXiv 1812.08928).

    The baseline that needs no hypernetwork.
    """
    hypernet = Network(lambda key, width: problem.start(key), kept(problem, keep_first))
    return learners.generated_network(hypernet, problem.network)


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
    "first_units": first_units,
    "largest_norm": largest_norm,
}
"""The default first."""
