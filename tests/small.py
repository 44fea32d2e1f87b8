"""The smallest settings that each method still does all of its work with."""

from typing import Any

import jax

import metajax as mj
from metajax.systems import Setup, build, config_type, configure, get_system
from metajax.systems.setup import first_drawn
from metajax.train import fit

RIDGE = [
    "--method",
    "ridge",
    "--width",
    "8",
    "--steps",
    "6",
    "--tasks-per-step",
    "2",
    "--eval-every",
    "3",
    "--eval-tasks",
    "8",
    "--log-every",
    "2",
    "--checkpoint-every",
    "3",
    "--no-progress",
]
"""The command line's arguments of a small run of fewshot."""


def tiny_settings(name: str, method: str | None = None) -> dict[str, Any]:
    """Return a system's tiny settings, those that one of its methods has."""
    system = get_system(name)
    known = config_type(system, method).__dataclass_fields__
    return {field: value for field, value in system.tiny.items() if field in known}


def tiny(name: str, method: str | None = None, **values: Any) -> Any:
    """Return the tiny config of a system's method, with some settings changed."""
    return configure(name, None, method, **{**tiny_settings(name, method), **values})


def fit_setup(setup: Setup, seed: Any = 0, **options: Any) -> Any:
    """Train a run that is set up, as ``metajax train`` does; what :func:`fit` returns."""
    return fit(
        setup.algorithm,
        setup.tasks,
        steps=setup.steps,
        tasks_per_step=setup.tasks_per_step,
        key=jax.random.key(seed),
        **{"progress": False, **options},
    )


def drawn_run(config: Any) -> tuple[mj.Run, Any]:
    """Return a run whose parameters are as first drawn, with its problem."""
    setup = build(config)
    state = first_drawn(setup.algorithm, setup.example_tasks, jax.random.key(0))
    return mj.Run("drawn", config, setup.method, setup.algorithm.params(state), 0), setup.problem
