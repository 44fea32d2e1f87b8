"""Networks that make networks: weights generated for an angle, a width, or another condition.

A method of this family gives a learner whose tasks have a condition as their support, and images
with their classes as their query: it adapts by generating weights. The setting ``condition`` says
what networks differ in. A method that is made for another condition is rejected by name. For
``classes`` a method is a model of the weights of a zoo: ``parts`` has what the evaluation reads.
"""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Objective, System
from metajax.systems.weights.conditions import Conditions
from metajax.systems.weights.evaluate import evaluate, on_test_images
from metajax.systems.weights.methods import METHODS
from metajax.systems.weights.problem import Problem, make_problem
from metajax.systems.weights.report import figures, table
from metajax.systems.weights.settings import (
    PRESETS,
    TINY,
    USUAL_PRESETS,
    Settings,
    Training,
    check,
)

__all__ = ["SYSTEM", "Conditions", "Problem", "Settings"]

_STARTS = ("eval_architectures", "start_steps", "start_lr")
"""Settings of the evaluation of predicted starts."""


def _objective(config: Any) -> Objective:
    """The accuracy on test images; of networks of classes and of starts as they are generated."""
    if config.condition == "classes":
        title = "accuracy on unseen tuples of classes, without a step"
        return Objective("rows.test.mean[0]", True, "new_tasks/last", title)
    place = 0 if config.condition == "architectures" else -1
    title = "accuracy on test images, mean over conditions"
    return Objective(f"rows.mean.mean[{place}]", True, "new_tasks/last", title)


SYSTEM = System(
    name="weights",
    summary="networks that make networks: for an angle, a width, an architecture or classes",
    settings=Settings,
    presets=PRESETS,
    usual_presets=USUAL_PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_test_images},
    table=table,
    figures=figures,
    objective=_objective,
    training=Training,
    evaluation=(
        *("eval_every", "eval_angles", "eval_widths", "eval_tasks", "eval_images"),
        *_STARTS,
    ),
    alike_in=("seed",),
    check=check,
    tied_to_steps={"neumeta": "the length of its stages"},
    tiny=TINY,
)
"""What the command line and a sweep know of this family."""
