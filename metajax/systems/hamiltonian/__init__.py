"""Hamiltonian graph networks that adapt to new mechanics."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import Objective, System
from metajax.systems.hamiltonian.evaluate import evaluate, on_trained_mechanics
from metajax.systems.hamiltonian.linear_energy import (
    LinearEnergy,
    Span,
    make_features,
    make_linear_motion,
)
from metajax.systems.hamiltonian.methods import METHODS
from metajax.systems.hamiltonian.motion import Motion, observe
from metajax.systems.hamiltonian.network import (
    Architecture,
    architecture_of,
    make_derivative,
    make_motion,
)
from metajax.systems.hamiltonian.polynomial_energy import (
    choose_degree,
    fit_and_roll,
    fit_polynomial,
    polynomial,
)
from metajax.systems.hamiltonian.problem import Problem, make_problem
from metajax.systems.hamiltonian.report import figures, table
from metajax.systems.hamiltonian.residuals import residual_mean, residual_sum
from metajax.systems.hamiltonian.roll_out import (
    SHORT,
    adapt_and_roll,
    cka,
    new_instances,
    relative_errors,
    summarise,
)
from metajax.systems.hamiltonian.scored import errors
from metajax.systems.hamiltonian.settings import PRESETS, SIX, TINY, Settings, check, trained
from metajax.systems.hamiltonian.tasks import (
    MotionTasks,
    Snapshots,
    Trajectories,
    make_tasks,
    prepare,
    simulate,
)
from metajax.systems.hamiltonian.use import AdaptedMotion, Moving, RollOut, use

__all__ = [
    "METHODS",
    "PRESETS",
    "SHORT",
    "SIX",
    "SYSTEM",
    "AdaptedMotion",
    "Architecture",
    "LinearEnergy",
    "Motion",
    "MotionTasks",
    "Moving",
    "Problem",
    "RollOut",
    "Settings",
    "Snapshots",
    "Span",
    "Trajectories",
    "adapt_and_roll",
    "architecture_of",
    "choose_degree",
    "cka",
    "errors",
    "fit_and_roll",
    "fit_polynomial",
    "make_derivative",
    "make_features",
    "make_linear_motion",
    "make_motion",
    "make_problem",
    "make_tasks",
    "new_instances",
    "observe",
    "polynomial",
    "prepare",
    "relative_errors",
    "residual_mean",
    "residual_sum",
    "simulate",
    "summarise",
    "trained",
]


def _objective(config: Any) -> Objective:
    return Objective(
        "rows.adapted.mean[-1]", False, "new_tasks/last", "relative error of coordinates"
    )


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
    objective=_objective,
    evaluation=("eval_every", "eval_tasks", "eval_steps", "eval_optimizer", "eval_lr"),
    check=check,
    renamed={"learner": "method", "systems": "mechanics", "eval_instances": "eval_tasks"},
    tiny=TINY,
    use=use,
    prepare=prepare,
)
"""What the command line and a sweep know of this family."""
