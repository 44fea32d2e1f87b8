"""What the command line and a sweep know of the family of tables."""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.tables.evaluate import evaluate, on_new_tables
from metajax.systems.tables.methods import BASELINES, METHODS
from metajax.systems.tables.problem import make_problem
from metajax.systems.tables.settings import PRESETS, TINY, Settings, check
from metajax.systems.tables.use import use

SYSTEM = System(
    name="tables",
    summary="learners that read a small table and predict a column of it",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_new_tables},
    objective=lambda config: Objective(
        "rows.new_tasks.mean[-1]",
        False,
        "new_tasks/last",
        "log loss at the most rows of new tables",
    ),
    evaluation=("eval_every", "eval_tasks", "eval_rows"),
    check=check,
    tied_to_steps=dict.fromkeys(BASELINES, ""),
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
