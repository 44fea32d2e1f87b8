"""Hamiltonian mechanics: energies, their equations of motion, named mechanics, integrators."""

import importlib
from typing import Any

from metajax.physics.catalog import (
    MECHANICS,
    Edges,
    Mechanics,
    check_state,
    coupled_springs,
    get_mechanics,
    n_body,
)
from metajax.physics.hamiltonians import (
    DoublePendulum,
    Gravitation,
    HenonHeiles,
    Mirror,
    Pendulum,
    Spring,
    SpringGraph,
    double_pendulum,
    gravitation,
    henon_heiles,
    magnetic_mirror,
    mass_spring,
    pendulum,
    spring_graph,
)
from metajax.physics.integrate import Trajectory, trajectory
from metajax.physics.linear_energies import damping_column, energy_columns, force_columns, stacked
from metajax.physics.mechanics import (
    Derivative,
    Hamiltonian,
    Phase,
    energy,
    energy_drift,
    port_hamiltonian,
    symplectic_gradient,
)
from metajax.physics.rates import Estimated, estimate_rates

__all__ = [
    "MECHANICS",
    "Derivative",
    "DoublePendulum",
    "Edges",
    "Estimated",
    "Gravitation",
    "Hamiltonian",
    "HenonHeiles",
    "Mechanics",
    "Mirror",
    "Pendulum",
    "Phase",
    "Spring",
    "SpringGraph",
    "Trajectory",
    "check_state",
    "coupled_springs",
    "damping_column",
    "double_pendulum",
    "energy",
    "energy_columns",
    "energy_drift",
    "estimate_rates",
    "force_columns",
    "get_mechanics",
    "gravitation",
    "henon_heiles",
    "magnetic_mirror",
    "mass_spring",
    "n_body",
    "pendulum",
    "port_hamiltonian",
    "spring_graph",
    "stacked",
    "symplectic_gradient",
    "trajectory",
]


def __getattr__(name: str) -> Any:
    if name in ("pde", "solver"):  # imported where used: they bring more than most need
        return importlib.import_module(f"metajax.physics.{name}")
    raise AttributeError(f"module 'metajax.physics' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "pde", "solver"})
