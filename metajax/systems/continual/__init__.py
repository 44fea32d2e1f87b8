"""Continual learning: tasks in sequence without forgetting.

A method of this family gives an algorithm whose parameters are those after each task, as
:func:`metajax.continual.in_sequence` does, and as its ``parts`` the
:class:`metajax.continual.ContinualLearner` that predicts by them.
"""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.continual.evaluate import on_all_tasks
from metajax.systems.continual.methods import METHODS
from metajax.systems.continual.problem import Problem
from metajax.systems.continual.settings import Settings
from metajax.systems.layout import family

__all__ = ["SYSTEM", "Problem", "Settings"]

SYSTEM = family(
    __name__,
    summary="continual learning: hypernetworks and other methods against forgetting",
    evaluators={"all_tasks": on_all_tasks},
    objective=Objective("more.final", title="accuracy on all tasks after the last"),
    alike_in=("seed", "strength", "learning_rate"),
    tied_to_steps=dict.fromkeys(METHODS, "the length of a task"),
)
"""What the command line and a sweep know of this family."""
