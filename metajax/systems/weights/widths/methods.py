"""Methods for the condition ``widths``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from metajax import learners
from metajax.core import Count, Decay, MetaLearner, NonNegative, Range
from metajax.systems.base import Entry, Method
from metajax.systems.weights.settings import Training
from metajax.systems.weights.widths.problem import WidthProblem
from metajax.systems.weights.widths.settings import Stages
from metajax.units import keep_first, keep_largest

STAGES = Stages()


def neumeta(
    problem: WidthProblem,
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
    parts = learners.metamorphosis(
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
    steps = learners.stage_lengths(training.steps, (stages.full_share, stages.fit_share))
    fit = dataclasses.replace(training, learning_rate=stages.fit_lr)
    rules = (training, fit, training)
    optimizers = [rule.make_optimizer(each) for rule, each in zip(rules, steps, strict=True)]
    return Method(parts.algorithm(steps, optimizers, average), parts.widths)


def slimmable(problem: WidthProblem, training: Training, *, average: Decay = 0.0) -> Method:
    """Train weights of which every width takes the first units (Yu et al. 2019, arXiv 1812.08928).

    The baseline that needs no hypernetwork.

    Args:
      average: Decay of the average of the weights over steps that is used; 0: none.
    """
    learner = learners.slimmable_network(problem.varied)
    return Method(learners.with_average(training.descend(learner), average), learner)


def slimmable_corrected(
    problem: WidthProblem,
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
    learner = learners.corrected_slimmable(
        problem.varied, hidden=function_width, depth=depth, octaves=octaves
    )
    return Method(learners.with_average(training.descend(learner), average), learner)


def trained_alone(
    problem: WidthProblem,
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


def first_units(problem: WidthProblem, training: Training) -> MetaLearner:
    """Train the full network, then take its first units: a baseline."""
    return learners.pruned_network(problem.varied, keep_first)


def largest_norm(problem: WidthProblem, training: Training) -> MetaLearner:
    """Train the full network, then take the units of the largest norms: a baseline."""
    return learners.pruned_network(problem.varied, keep_largest)


METHODS: dict[str, Entry] = {
    "neumeta": neumeta,
    "slimmable": slimmable,
    "slimmable_corrected": slimmable_corrected,
    "trained_alone": trained_alone,
    "first_units": first_units,
    "largest_norm": largest_norm,
}
"""The default first."""
