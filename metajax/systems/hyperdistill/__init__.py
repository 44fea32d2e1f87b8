"""HyperDistill: online hyperparameter meta-learning by distillation (arXiv 2110.02508)."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import System
from metajax.systems.hyperdistill.evaluate import (
    evaluate,
    on_validation,
    scores_by_step,
    table,
)
from metajax.systems.hyperdistill.methods import METHODS
from metajax.systems.hyperdistill.problem import Problem, make_problem
from metajax.systems.hyperdistill.settings import PRESETS, TINY, Settings, check
from metajax.systems.hyperdistill.testbed import Testbed, make_testbed
from metajax.systems.hyperdistill.use import use
from metajax.systems.parts import objective
from metajax.systems.training import tied_to_steps

__all__ = [
    "METHODS",
    "PRESETS",
    "SYSTEM",
    "Problem",
    "Settings",
    "Testbed",
    "make_problem",
    "make_testbed",
    "scores_by_step",
]


def _tied_to_steps(config: Any) -> str:
    """Name the schedule; random search has no learning rate."""
    return "" if config.method == "random_search" else tied_to_steps(config)


SYSTEM = System(
    name="hyperdistill",
    summary="hyperparameters meta-learned online by distilled Jacobian-vector products",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_validation},
    table=table,
    objective=objective,
    evaluation=("eval_every", "eval_tasks", "eval_queries"),
    check=check,
    tied_to_steps=_tied_to_steps,
    renamed={
        "bed": "testbed",
        "outer_lr": "learning_rate",
        "outer_optimizer": "optimizer",
        "outer_decay": "schedule",
    },
    older_values={"outer_decay": {True: "linear", False: "constant"}},
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
