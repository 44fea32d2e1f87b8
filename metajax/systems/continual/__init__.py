"""Continual learning: tasks in sequence without forgetting."""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.continual.evaluate import evaluate, on_all_tasks
from metajax.systems.continual.methods import METHODS, Parts
from metajax.systems.continual.problem import Problem, make_problem
from metajax.systems.continual.report import figures, table
from metajax.systems.continual.settings import PRESETS, TINY, Settings, Training, check
from metajax.systems.continual.use import use

__all__ = ["SYSTEM", "Parts", "Problem", "Settings"]


SYSTEM = System(
    name="continual",
    summary="continual learning: hypernetworks and other methods against forgetting",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"all_tasks": on_all_tasks},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "more.final", True, "all_tasks/last", "accuracy on all tasks after the last"
    ),
    training=Training,
    evaluation=("eval_every",),
    alike_in=("seed", "strength", "learning_rate"),
    check=check,
    tied_to_steps=dict.fromkeys(METHODS, "the length of a task"),
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
