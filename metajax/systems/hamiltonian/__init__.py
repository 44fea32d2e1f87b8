"""Hamiltonian graph networks that adapt to new mechanics."""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.hamiltonian.evaluate import evaluate, on_trained_mechanics
from metajax.systems.hamiltonian.methods import METHODS
from metajax.systems.hamiltonian.motion import Motion, observe
from metajax.systems.hamiltonian.network import architecture_of, make_derivative
from metajax.systems.hamiltonian.polynomial_energy import fit_and_roll
from metajax.systems.hamiltonian.problem import Problem, make_problem
from metajax.systems.hamiltonian.report import figures, table
from metajax.systems.hamiltonian.roll_out import adapt_and_roll, new_instances, summarise
from metajax.systems.hamiltonian.scored import errors
from metajax.systems.hamiltonian.settings import PRESETS, SIX, TINY, Settings, check, trained
from metajax.systems.hamiltonian.tasks import make_tasks, prepare
from metajax.systems.hamiltonian.use import AdaptedMotion, Moving, RollOut, use

__all__ = [
    "SIX",
    "SYSTEM",
    "AdaptedMotion",
    "Motion",
    "Moving",
    "Problem",
    "RollOut",
    "Settings",
    "adapt_and_roll",
    "architecture_of",
    "errors",
    "fit_and_roll",
    "make_derivative",
    "make_tasks",
    "new_instances",
    "observe",
    "prepare",
    "summarise",
    "trained",
]


SYSTEM = System(
    name="hamiltonian",
    summary="Hamiltonian graph networks that adapt to a type of physical system never trained on",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_trained_mechanics},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.adapted.mean[-1]", False, "new_tasks/last", "relative error of coordinates"
    ),
    evaluation=("eval_every", "eval_tasks", "eval_steps", "eval_optimizer", "eval_lr"),
    check=check,
    renamed={"learner": "method", "systems": "mechanics", "eval_instances": "eval_tasks"},
    tiny=TINY,
    use=use,
    prepare=prepare,
)
"""What the command line and a sweep know of this family."""
