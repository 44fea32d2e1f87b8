"""What the problem of unseen mechanics is, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from metajax.core import DISTINCT, ConfigError, Count, Number, Positive, Range, Several

Name = Literal[
    "mass_spring",
    "pendulum",
    "henon_heiles",
    "magnetic_mirror",
    "two_body",
    "three_body",
    "double_pendulum",
    "coupled_springs",
    "damped_spring",
    "damped_pendulum",
    "driven_spring",
    "driven_pendulum",
]

SIX: tuple[Name, ...] = get_args(Name)[:6]
"""The mechanics of the paper."""


@dataclass(frozen=True)
class Settings:
    """Learn to adapt a network of motion to a held-out type of physical system."""

    held_out: Name = "pendulum"
    """The type that is tested on; training sees all others of `mechanics`."""
    mechanics: Annotated[tuple[Name, ...], DISTINCT] = SIX
    """Types of physical systems. Names in addition to the paper's six: double_pendulum,
    coupled_springs, damped_spring, damped_pendulum, driven_spring, driven_pendulum."""
    structure: Literal["hamiltonian", "port", "driven", "direct"] = "hamiltonian"
    """hamiltonian: the network is an energy and motion its symplectic gradient; port: with a
    learned damping too; driven: with a damping and a force that depends on time; direct: the
    network is the motion itself."""
    width: Count = 64
    """Size of the network's hidden layers, units."""
    layers: Count = 1
    """Hidden layers of each of its parts."""
    rounds: Number = 1
    """Rounds of messages between particles; a lone particle sees layers * (rounds + 2) layers."""
    shots: Count = 50
    """Points of a trajectory, with their time derivatives, to adapt to."""
    queries: Count = 50
    """Other points of the trajectory, which training is scored on."""
    noise: Annotated[float, Range(0)] = 0.0
    """Deviation of Gaussian noise on the points' coordinates and momenta, SI units. Above 0,
    derivatives are estimated from the noisy trajectory, not given."""
    trajectories: Count = 1000
    """Trajectories of each type to train on, each of another system and start."""
    points: Annotated[int, Range(8)] = 200  # fewer do not tell a trajectory's shape
    """Points of a trajectory."""
    duration: Annotated[float, Range(above=0)] = 10.0
    """Length of a trajectory, seconds."""
    prepared: bool = False
    """Read trajectories that `metajax data prepare hamiltonian` wrote instead of simulating."""
    eval_tasks: Several = 100
    """New systems of the held-out type that every evaluated figure is a mean over."""
    eval_steps: Count = 50
    """Gradient steps of adapting to a new system."""
    eval_optimizer: Literal["sgd", "adam"] = "sgd"
    """Optimizer of adapting to a new system (meta_sgd has its own)."""
    eval_lr: Annotated[float, Range(above=0)] = 0.1
    """Learning rate of adapting to a new system, for the mean of the residuals' loss."""


@dataclass(frozen=True)
class Inner:
    """The inner steps of a method that adapts by gradients, in training."""

    inner_steps: Count = 1
    """Gradient steps of adapting in training."""
    inner_lr: Positive = 0.2
    """Learning rate of adapting in training; learned rates are factors of it, on new systems
    too."""
    reduction: Literal["sum", "mean"] = "mean"
    """Sum or mean of the support's residuals in the inner loss; with learned rates, on new systems
    too. The inner rates of the two differ by a factor of shots * particles * 4, the number of
    residuals."""


def trained(settings: Any) -> tuple[Name, ...]:
    """Return the mechanics that training sees.

    Args:
      settings: of the problem.
    """
    return tuple(name for name in settings.mechanics if name != settings.held_out)


def check(config: Any) -> None:
    """Raise where points are too few, or tasks are not divided evenly among the mechanics.

    Raises:
      ConfigError: they are; or there is nothing to train on.
    """
    if config.shots + config.queries > config.points:
        raise ConfigError(
            "points", config.points, f"shots + queries = {config.shots + config.queries} or more"
        )
    names = trained(config)
    if not names:
        raise ConfigError("mechanics", config.mechanics, "one or more that are not held out")
    if config.tasks_per_step % len(names):
        raise ConfigError(
            "tasks_per_step",
            config.tasks_per_step,
            f"a multiple of {len(names)}, the number of types to train on",
        )


_CPU: dict[str, Any] = {
    "learning_rate": 5e-4,
    "clip_norm": 10.0,
    "steps": 5000,
    "tasks_per_step": 10,
}

PRESETS: dict[str, dict[str, Any]] = {
    "cpu": _CPU,
    "quick": _CPU | {"steps": 1000, "trajectories": 200, "eval_every": 250},
    "one_particle": _CPU
    | {"mechanics": SIX[:4], "tasks_per_step": 9, "inner_steps": 5, "eval_lr": 0.2},
    "solved": _CPU
    | {
        "method": "linear_energy",
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "clip_norm": None,
        "steps": 1000,
        "tasks_per_step": 5,
        "trajectories": 300,
    },
    "paper": _CPU
    | {"trajectories": 10_000, "width": 128, "rounds": 2, "inner_lr": 1e-3, "reduction": "sum"},
}
"""cpu: pendulum held out, minutes on a core; any other with --held-out. one_particle: the four of
the paper's types that have one, five inner steps, new systems adapted to at the rate of training.
solved: learned features and a solved head, minutes on a core. paper: the paper's numbers of
trajectories and steps, for a GPU; it states no size of its network.
"""

TINY: dict[str, Any] = {
    "mechanics": ("mass_spring", "pendulum"),
    "width": 6,
    "rounds": 0,
    "shots": 6,
    "queries": 5,
    "trajectories": 3,
    "points": 12,
    "duration": 2.0,
    "tasks_per_step": 2,
    "eval_tasks": 3,
    "eval_steps": 3,
    "features": 7,
}
