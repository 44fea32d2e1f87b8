"""What the problems of HyPINO are, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import jax.numpy as jnp

from metajax.core import SOME, ConfigError, Count, Number, Range, Several

BenchmarkName = Literal["HT", "HZ", "HZ-G", "PS-C", "PS-L", "PS-G", "WV"]
"""The published benchmarks."""
Share = Annotated[float, Range(0, 1)]
"""A number from 0 to 1."""
Weight = Annotated[float, Range(0)]
"""A finite number of 0 or more."""
Weights = tuple[Weight, Weight, Weight, Weight, Weight, Weight]
"""One for each of the losses: residual, solution, its gradient, its second derivatives, Dirichlet
and Neumann data."""


@dataclass(frozen=True)
class Settings:
    """Random linear PDEs, the encoder that reads them, and the losses of their solutions."""

    grid: Annotated[int, Range(8)] = 32
    """Nodes along a side of the images of a problem."""
    interior: Count = 256
    """Points inside the domain that a problem is trained on."""
    boundary: Count = 256
    """Points of the boundary that a problem is trained on."""
    holes: Annotated[int, Range(0, 3)] = 3
    """Most holes of a random domain."""
    width: Annotated[int, Range(4)] = 32
    """Channels of the first stage of the encoder, a multiple of 4, and of 32 if above; each further
    stage has twice as many."""
    depths: tuple[Count, ...] = (2, 2)
    """Transformer blocks of each stage."""
    heads: tuple[Count, ...] = (2, 4)
    """Attention heads of each stage, a divisor of its channels."""
    window: Count = 4
    """Cells along a side of an attention window."""
    mlp_ratio: Count = 2
    """Hidden size of a block's MLP over its channels."""
    homogeneous: Share = 0.0
    """Share of problems whose solution is 0 on the square's edge; 0 in the published run."""
    unsupervised: Share = 0.5
    """Share of problems without a known solution in the second phase; the first has none."""
    first_phase: Number = 1000
    """Meta-steps of the first phase."""
    weights_first: Weights = (0.01, 1.0, 0.1, 0.01, 10.0, 1.0)
    """Weights of residual, solution, its gradient, its second derivatives, Dirichlet and Neumann
    data in the first phase."""
    weights_second: Weights = (0.1, 1.0, 1.0, 0.1, 10.0, 1.0)
    """The same weights in the second phase."""
    remat: bool = False
    """Recompute each block in the backward pass, which saves memory."""
    bfloat16: bool = False
    """Compute the encoder in bfloat16; heads, target and losses stay float32."""
    eval_tasks: Several = 256
    """New problems that the reported error is over."""
    benchmarks: Annotated[tuple[BenchmarkName, ...], SOME] = get_args(BenchmarkName)
    """Benchmarks that a run is evaluated on."""
    finetune_steps: Number = 500
    """Steps of Adam that a generated and a random network are fine-tuned for on each benchmark, 0
    for none."""
    rounds: Annotated[tuple[Count, ...], SOME] = (3, 10)
    """Numbers of refinement rounds after which the benchmarks are evaluated."""

    @property
    def dtype(self) -> Any:
        """What encoder and decoder compute in; None: the dtype of their parameters."""
        return jnp.bfloat16 if self.bfloat16 else None


@dataclass(frozen=True)
class TargetSizes:
    """The sizes of a target network, and of what makes its weights."""

    head_hidden: Count = 64
    """Hidden units of the network that makes one tensor of the target."""
    target_width: Count = 32
    """Units of the target network's layers; where its head is solved for, its features."""
    target_layers: Number = 3
    """Its layers with skips."""


def check(config: Any) -> None:
    """Raise where the encoder's sizes do not fit together.

    Raises:
      ConfigError: no stage, depths and heads of different numbers of stages, heads that do not
        divide their stage's channels, channels that the normalization cannot group, no rounds or
        no benchmark.
    """
    if not config.depths or len(config.depths) != len(config.heads):
        raise ConfigError(
            "depths", config.depths, f"a number for each of {len(config.heads)} stages"
        )
    for stage, heads in enumerate(config.heads):
        channels = config.width * 2**stage
        if channels % heads:
            raise ConfigError("heads", heads, f"a divisor of the {channels} of stage {stage}")
    if config.width % 4 or (config.width > 32 and config.width % 32):
        raise ConfigError("width", config.width, "a multiple of 4, and of 32 if above")


TRAINING: dict[str, Any] = {
    "optimizer": "adamw",
    "schedule": "cosine",
    "final_rate": 0.01,
    "weight_decay": 1e-4,
    "adam_epsilon": 1e-8,
    "clip_norm": 1.0,
}
"""The published optimizer: AdamW, whose rate falls along a cosine to a hundredth."""

_TINY_RUN: dict[str, Any] = TRAINING | {
    "steps": 4000,
    "tasks_per_step": 16,
    # at 1e-3 all generated networks saturate, and become constants, within some hundred steps
    "learning_rate": 2e-4,
    "eval_every": 500,
}

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": _TINY_RUN,
    "cpu": _TINY_RUN | {"homogeneous": 0.5, "first_phase": 2000, "steps": 8000, "eval_every": 1000},
    "paper": TRAINING
    | {
        "grid": 224,
        "interior": 2048,
        "boundary": 2048,
        "width": 128,
        "depths": (2, 2, 10, 2),
        "heads": (4, 8, 8, 16),
        "window": 7,
        "head_hidden": 256,
        "first_phase": 10_000,
        "steps": 30_000,
        "tasks_per_step": 128,
        "learning_rate": 1e-4,
        "remat": True,
        "bfloat16": True,
        "eval_every": 1000,
    },
}
"""tiny: a quarter of an hour on a core. cpu: under an hour; half of its problems are 0 on the edge.
paper: the published sizes, for a GPU. Each by any method: ``--method NAME``."""

TINY: dict[str, Any] = {
    "grid": 8,
    "interior": 4,
    "boundary": 4,
    "holes": 1,
    "width": 4,
    "depths": (1,),
    "heads": (1,),
    "window": 2,
    "first_phase": 1,
    "head_hidden": 2,
    "target_width": 4,
    "target_layers": 1,
    "candidates": 8,
    "features": 4,
    "tasks_per_step": 2,
    # at less, Adam makes steps of the rounding of gradients that are nearly 0
    "adam_epsilon": 1e-2,
    "eval_tasks": 4,
    "benchmarks": ("HT",),
    "finetune_steps": 2,
    "rounds": (1,),
}
"""The smallest settings that every method still does all of its work with."""
