"""Federated learning of classes: clients send sums of features, and a server adds them."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.federated.evaluate import on_missions
from metajax.systems.federated.problem import Problem
from metajax.systems.federated.settings import EVALUATION, Settings
from metajax.systems.layout import family

__all__ = ["SYSTEM", "Problem", "Settings"]

SYSTEM = family(
    __name__,
    summary="classes that come in missions of several clients, known by merged prototypes",
    evaluators={"new_tasks": on_missions},
    objective=Objective("rows.merged.mean[-1]", title="accuracy on all classes that have come"),
    evaluation=EVALUATION,
    alike_in=("seed",),
)
"""What the command line and a sweep know of this family."""
