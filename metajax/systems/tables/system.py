"""What the command line and a sweep know of the family of tables."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Objective, System
from metajax.systems.tables.evaluate import evaluate, on_new_tables
from metajax.systems.tables.methods import METHODS, NOT_TRAINED
from metajax.systems.tables.problem import make_problem
from metajax.systems.tables.settings import PRESETS, TINY, Settings, check
from metajax.systems.tables.use import use
from metajax.systems.training import tied_to_steps


def _objective(config: Any) -> Objective:
    return Objective(
        "rows.new_tasks.mean[-1]",
        False,
        "new_tasks/last",
        "log loss at the most rows of new tables",
    )


def _tied_to_steps(config: Any) -> str:
    return "" if config.method in NOT_TRAINED else tied_to_steps(config)


SYSTEM = System(
    name="tables",
    summary="learners that read a small table and predict a column of it",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_new_tables},
    objective=_objective,
    evaluation=("eval_every", "eval_tasks", "eval_rows"),
    check=check,
    tied_to_steps=_tied_to_steps,
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
