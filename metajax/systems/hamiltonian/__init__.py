"""Hamiltonian graph networks that adapt to new physics."""

from metajax.systems.hamiltonian.config import PRESETS, SIX, Config
from metajax.systems.hamiltonian.evaluate import (
    SHORT,
    adapt_and_roll,
    cka,
    fit_and_roll,
    new_instances,
    relative_errors,
    summarise,
)
from metajax.systems.hamiltonian.learner import (
    make_algorithm,
    make_learner,
    residual_mean,
    residual_sum,
)
from metajax.systems.hamiltonian.network import make_derivative, make_motion
from metajax.systems.hamiltonian.polynomial_energy import fit_polynomial, polynomial
from metajax.systems.hamiltonian.system import SYSTEM, build
from metajax.systems.hamiltonian.tasks import (
    MotionTasks,
    Snapshots,
    Trajectories,
    make_tasks,
    prepare,
    simulate,
)

__all__ = [
    "PRESETS",
    "SHORT",
    "SIX",
    "SYSTEM",
    "Config",
    "MotionTasks",
    "Snapshots",
    "Trajectories",
    "adapt_and_roll",
    "build",
    "cka",
    "fit_and_roll",
    "fit_polynomial",
    "make_algorithm",
    "make_derivative",
    "make_learner",
    "make_motion",
    "make_tasks",
    "new_instances",
    "polynomial",
    "prepare",
    "relative_errors",
    "residual_mean",
    "residual_sum",
    "simulate",
    "summarise",
]
