"""Federated learning of classes: clients send sums of features, and a server adds them."""

from __future__ import annotations

import functools
from typing import Any

from metajax.systems.base import Objective
from metajax.systems.federated.evaluate import on_missions
from metajax.systems.federated.problem import Problem
from metajax.systems.federated.settings import EVALUATION, Settings
from metajax.systems.layout import family
from metajax.systems.uses import blank_parts, classes_of_images

__all__ = ["SYSTEM", "Problem", "Settings"]


def _blank(settings: Any) -> Problem:
    """Make a problem of blank images, from which a trained embedding is made."""
    return Problem(settings, blank_parts(settings).train, None)


SYSTEM = family(
    __name__,
    summary="classes that come in missions of several clients, known by merged prototypes",
    evaluators={"new_tasks": on_missions},
    objective=Objective("rows.merged.mean[-1]", title="accuracy on all classes that have come"),
    evaluation=EVALUATION,
    alike_in=("seed",),
    use=functools.partial(classes_of_images, sequence=False, problem=_blank),
)
"""What the command line and a sweep know of this family."""
