"""Settings of the Hamiltonian meta-learners, and the presets that were run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from metajax.core import ConfigError, check_positive, check_whole

SystemName = Literal[
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

SIX: tuple[SystemName, ...] = get_args(SystemName)[:6]
"""The systems of the paper."""


@dataclass(frozen=True)
class Config:
    """Learn to adapt a Hamiltonian graph network to a type of physical system never trained on."""

    held_out: SystemName = "pendulum"
    """The type that is tested on; training sees all others of `systems`."""
    systems: tuple[SystemName, ...] = SIX
    """Types of systems. Names besides the paper's six: double_pendulum, coupled_springs,
    damped_spring, damped_pendulum, driven_spring, driven_pendulum."""
    learner: Literal["maml", "first_order_maml", "anil", "meta_sgd", "joint"] = "maml"
    """How it is meta-trained; joint: on all systems at once without adapting, the paper's
    pre-trained baseline. All adapt alike on new systems."""
    structure: Literal["hamiltonian", "port", "driven", "direct"] = "hamiltonian"
    """hamiltonian: the network is an energy and motion its symplectic gradient; port: with a
    learned damping besides; driven: with a damping and a force of time; direct: the network is the
    motion itself."""
    width: int = 64
    """Size of the network's hidden layers, units."""
    layers: int = 1
    """Hidden layers of each of its parts."""
    rounds: int = 1
    """Rounds of messages between particles; a lone particle sees layers * (rounds + 2) layers."""
    shots: int = 50
    """Points of a trajectory, with their time derivatives, to adapt to."""
    queries: int = 50
    """Other points of it that training scores."""
    noise: float = 0.0
    """Deviation of Gaussian noise on the points' coordinates and momenta, SI units. Above 0,
    derivatives are estimated from the noisy trajectory, not given."""
    trajectories: int = 1000
    """Trajectories of each type to train on, each of a system and a start of its own."""
    points: int = 200
    """Points of a trajectory."""
    duration: float = 10.0
    """Its length, seconds."""
    prepared: bool = False
    """Read trajectories that `metajax data prepare hamiltonian` wrote, not simulate some anew."""
    reduction: Literal["sum", "mean"] = "mean"
    """Whether the inner loss adds up the residuals of the support, or averages them. The inner
    rates of the two differ by their number, shots * particles * 4."""
    inner_steps: int = 1
    """Gradient steps of adapting in training."""
    inner_lr: float = 0.2
    """Learning rate of adapting in training."""
    learning_rate: float = 5e-4
    """Adam learning rate of meta-training."""
    clip_norm: float | None = 10.0
    """Largest norm of a meta-gradient; None: any."""
    steps: int = 5000
    """Meta-steps."""
    tasks_per_step: int = 10
    """Tasks of a meta-step, as many of each number of particles as trained types have it."""
    seed: int = 0
    """Seed of the run: weights, systems, tasks and order."""
    eval_every: int = 1000
    """Meta-steps between measurements on new systems of the trained types."""
    eval_instances: int = 100
    """New systems of the held-out type behind every evaluated figure."""
    eval_steps: int = 50
    """Gradient steps of adapting to a new system."""
    eval_optimizer: Literal["sgd", "adam"] = "sgd"
    """What takes them (meta_sgd takes its own)."""
    eval_lr: float = 0.1
    """Its learning rate, for the mean of the residuals' loss."""

    @property
    def train_systems(self) -> tuple[SystemName, ...]:
        """The types that training sees."""
        return tuple(name for name in self.systems if name != self.held_out)

    def __post_init__(self) -> None:
        sizes = (
            "width",
            "layers",
            "shots",
            "queries",
            "trajectories",
            "inner_steps",
            "steps",
            "tasks_per_step",
            "eval_every",
            "eval_steps",
        )
        check_whole(self, sizes)
        check_whole(self, ("rounds",), 0)
        check_whole(self, ("eval_instances",), 2)
        check_whole(self, ("points",), 8)  # fewer do not tell a trajectory's shape
        check_positive(self, ("duration", "inner_lr", "learning_rate", "clip_norm", "eval_lr"))
        if not 0 <= self.noise < float("inf"):
            raise ConfigError("noise", self.noise, "a finite number of 0 or more")
        if self.shots + self.queries > self.points:
            raise ConfigError(
                "points", self.points, f"shots + queries = {self.shots + self.queries} or more"
            )
        if not self.train_systems:
            raise ConfigError("systems", self.systems, "one or more besides the one held out")
        if len(set(self.systems)) < len(self.systems):
            raise ConfigError("systems", self.systems, "each name once")
        if self.tasks_per_step % len(self.train_systems):
            raise ConfigError(
                "tasks_per_step",
                self.tasks_per_step,
                f"a multiple of {len(self.train_systems)}, the number of types to train on",
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


PRESETS = {
    "cpu": Config(),
    "quick": dataclasses.replace(Config(), steps=1000, trajectories=200, eval_every=250),
    "one_particle": dataclasses.replace(
        Config(), systems=SIX[:4], tasks_per_step=9, inner_steps=5, eval_lr=0.2
    ),
    "paper": dataclasses.replace(
        Config(), trajectories=10_000, width=128, rounds=2, inner_lr=1e-3, reduction="sum"
    ),
}
"""cpu: pendulum held out, minutes on a core; any other with --held-out. one_particle: the four of
the paper's types that have one, five inner steps, new systems adapted to at the rate of training.
paper: the paper's numbers of trajectories and steps, for a GPU; it states no size of its network.
"""
