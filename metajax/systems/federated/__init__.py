"""Federated learning of classes: clients send sums of features, and a server adds them."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Objective, System, Use
from metajax.systems.federated.evaluate import evaluate, on_missions
from metajax.systems.federated.methods import METHODS
from metajax.systems.federated.problem import Field, Problem, make_problem
from metajax.systems.federated.report import figures, table
from metajax.systems.federated.settings import (
    EVALUATION,
    PRESETS,
    TINY,
    Settings,
    Training,
    check,
)
from metajax.systems.using.classes import classes_of_images
from metajax.systems.using.parted import blank_parts

__all__ = ["SYSTEM", "Field", "Problem", "Settings"]


def _blank(settings: Any) -> Problem:
    """Make a problem of blank images, from which a trained embedding is made."""
    return Problem(settings, blank_parts(settings).train, None)


def _use(config: Any) -> Use:
    """Return how a trained embedding is used on a person's own classes of images."""
    return classes_of_images(config, flat=False, problem=_blank)


SYSTEM = System(
    name="federated",
    summary="classes that come in missions of several clients, known by merged prototypes",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_missions},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.merged.mean[-1]", True, "new_tasks/last", "accuracy on all classes that have come"
    ),
    training=Training,
    evaluation=EVALUATION,
    alike_in=("seed",),
    check=check,
    tiny=TINY,
    use=_use,
)
"""What the command line and a sweep know of this family."""
