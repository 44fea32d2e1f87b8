"""Hamiltonian graph networks that adapt to new mechanics."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.hamiltonian.evaluate import on_trained_mechanics
from metajax.systems.hamiltonian.motion import Motion, observe
from metajax.systems.hamiltonian.network import architecture_of, make_derivative
from metajax.systems.hamiltonian.polynomial_energy import fit_and_roll
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.roll_out import adapt_and_roll, new_instances, summarise
from metajax.systems.hamiltonian.scored import errors
from metajax.systems.hamiltonian.settings import SIX, Settings, trained
from metajax.systems.hamiltonian.tasks import make_tasks, prepare
from metajax.systems.hamiltonian.use import AdaptedMotion, Moving, RollOut
from metajax.systems.layout import family

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


SYSTEM = family(
    __name__,
    summary="Hamiltonian graph networks that adapt to a type of physical system never trained on",
    evaluators={"new_tasks": on_trained_mechanics},
    objective=Objective("rows.adapted.mean[-1]", False, title="relative error of coordinates"),
    renamed={"learner": "method", "systems": "mechanics", "eval_instances": "eval_tasks"},
    prepare=prepare,
)
"""What the command line and a sweep know of this family."""
