"""HyPINO's family of problems, as the command line and a sweep know it."""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.hypino.evaluate import evaluate, on_new_problems
from metajax.systems.hypino.methods import METHODS
from metajax.systems.hypino.problem import make_problem
from metajax.systems.hypino.report import figures, table
from metajax.systems.hypino.settings import PRESETS, TINY, Settings, check
from metajax.systems.hypino.use import use

SYSTEM = System(
    name="hypino",
    summary="HyPINO: a hypernetwork that turns a linear PDE into the network that solves it",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_new_problems},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.new_problems.mean[-1]", False, "new_tasks/last", "relative L2 error on new problems"
    ),
    evaluation=("eval_every", "eval_tasks", "benchmarks", "finetune_steps", "rounds"),
    of_tasks=("homogeneous", "unsupervised", "first_phase"),
    check=check,
    renamed={"decoder": "method"},
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
