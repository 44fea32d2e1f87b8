"""Settings of HyperDistill's test-beds, and the presets that were run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from metajax.core import ConfigError

Method = Literal[
    "distilled", "one_step", "first_order", "drmad", "neumann", "unrolled", "forward", "es", "pes"
]


@dataclass(frozen=True)
class Config:
    """Online hyperparameter meta-learning with hypergradient distillation (arXiv 2110.02508).

    The sinusoid bed: the hidden layers of a network are hyperparameters shared by all tasks, its
    last layer is what each task fits, from a start that Reptile moves (ANIL).
    """

    method: Method = "distilled"
    """The hypergradient; all but the first are rivals."""
    gamma: float = 0.9
    """Decay of older steps' weights (distilled), at least 0 and below 1."""
    calibrate_every: int | None = None
    """Meta-steps between estimates of theta (distilled). None: theta stays 1, which did better on
    the sinusoid bed."""
    terms: int = 5
    """Terms of the Neumann series (neumann)."""
    sigma: float = 0.01
    """Deviation of the perturbations (es, pes)."""
    pairs: int = 16
    """Antithetic pairs of perturbed runs (es, pes)."""
    every: int = 1
    """Inner steps between hyperparameter updates; divides `inner_steps`. drmad and unrolled see
    only so many steps back: `inner_steps` gives them the whole horizon."""
    inner_steps: int = 30
    """Steps of an inner optimisation, T."""
    inner_lr: float = 0.01
    """Learning rate of the inner SGD."""
    momentum: float = 0.9
    """Momentum of the inner SGD, at least 0 and below 1."""
    outer_lr: float = 1e-3
    """Adam learning rate of the hyperparameters, per update."""
    reptile_rate: float = 1.0
    """How far the shared start moves towards the tasks' mean result, 0 to 1."""
    steps: int = 30
    """Meta-steps, each an inner optimisation of every task, M."""
    tasks_per_step: int = 10
    """Tasks of a meta-step."""
    shots: int = 10
    """Examples that a task is fitted to."""
    queries: int = 10
    """Examples of the outer loss."""
    width: int = 100
    """Size of the hidden layers, units."""
    layers: int = 3
    """Hidden layers."""
    seed: int = 0
    """Seed of the run: weights, tasks and order."""
    eval_every: int = 10
    """Meta-steps between measurements on new tasks."""
    eval_tasks: int = 1000
    """New tasks behind every evaluated figure."""
    eval_queries: int = 100
    """Examples that a new task is scored on."""

    def __post_init__(self) -> None:
        for name in (
            "terms", "pairs", "every", "inner_steps", "steps", "tasks_per_step",
            "shots", "queries", "width", "layers", "eval_every", "eval_queries",
        ):  # fmt: skip
            if getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "a whole number of 1 or more")
        if self.calibrate_every is not None and self.calibrate_every < 1:
            raise ConfigError(
                "calibrate_every", self.calibrate_every, "a whole number of 1 or more, or none"
            )
        if self.eval_tasks < 2:
            raise ConfigError("eval_tasks", self.eval_tasks, "a whole number of 2 or more")
        for name in ("inner_lr", "outer_lr", "sigma"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(name, getattr(self, name), "a finite number above 0")
        for name in ("gamma", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "at least 0 and below 1")
        if not 0 <= self.reptile_rate <= 1:
            raise ConfigError("reptile_rate", self.reptile_rate, "0 to 1")
        if self.inner_steps % self.every:
            raise ConfigError("every", self.every, f"a divisor of inner_steps = {self.inner_steps}")
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


PRESETS = {
    "sinusoid": Config(),
    "sinusoid_drmad": dataclasses.replace(Config(), method="drmad", every=30),
    "sinusoid_unrolled": dataclasses.replace(Config(), method="unrolled", every=30),
}
"""sinusoid: the paper's appendix bed at full size, a minute on a core; with --method for rivals."""
