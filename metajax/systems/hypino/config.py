"""Settings of HyPINO, and the presets that were run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from metajax.core import ConfigError, check_positive, check_whole, one_of

DecoderName = Literal["weights", "unet", "pino"]

Weights = tuple[float, float, float, float, float, float]
"""One for each of the losses."""


@dataclass(frozen=True)
class Config:
    """HyPINO: a hypernetwork that turns a linear PDE into a network that solves it."""

    decoder: DecoderName = "weights"
    """What follows the encoder: heads that make a network's weights, or, as baselines, a U-Net or a
    Fourier neural operator that makes an image of the solution."""
    grid: int = 32
    """Nodes along a side of the images of a problem."""
    interior: int = 256
    """Points inside the domain that a problem is trained on."""
    boundary: int = 256
    """Points of its boundary."""
    width: int = 32
    """Channels of the first stage of the encoder; each further stage has twice as many."""
    depths: tuple[int, ...] = (2, 2)
    """Transformer blocks of each stage."""
    heads: tuple[int, ...] = (2, 4)
    """Attention heads of each stage."""
    window: int = 4
    """Cells along a side of an attention window."""
    mlp_ratio: int = 2
    """Hidden size of a block's MLP over its channels."""
    head_hidden: int = 64
    """Hidden units of the network that makes one tensor of the target."""
    target_width: int = 32
    """Units of the target network's layers."""
    target_layers: int = 3
    """Its layers with skips."""
    homogeneous: float = 0.0
    """Share of problems whose solution is 0 on the square's edge; the published have none."""
    unsupervised: float = 0.5
    """Share of problems without a known solution in the second phase; the first has none."""
    first_phase: int = 1000
    """Meta-steps of the first phase."""
    weights_first: tuple[float, float, float, float, float, float] = (
        0.01,
        1.0,
        0.1,
        0.01,
        10.0,
        1.0,
    )
    """Weights of residual, solution, its gradient, its second derivatives, Dirichlet and Neumann
    data in the first phase."""
    weights_second: tuple[float, float, float, float, float, float] = (
        0.1,
        1.0,
        1.0,
        0.1,
        10.0,
        1.0,
    )
    """The same in the second."""
    learning_rate: float = 2e-4
    """Largest learning rate of AdamW; it falls along a cosine to a hundredth. At 1e-3 all generated
    networks saturate, and become constants, within some hundred steps."""
    weight_decay: float = 1e-4
    """AdamW's weight decay."""
    adam_epsilon: float = 1e-8
    """AdamW's epsilon: gradients far below it no longer move a weight by the whole rate."""
    clip_norm: float = 1.0
    """Largest norm of a meta-gradient."""
    steps: int = 4000
    """Meta-steps."""
    tasks_per_step: int = 16
    """Problems of a meta-step."""
    remat: bool = False
    """Recompute each block in the backward pass, which saves memory."""
    bfloat16: bool = False
    """Compute the encoder in bfloat16; heads, target and losses stay float32."""
    seed: int = 0
    """Seed of the run: weights, problems and order."""
    eval_every: int = 500
    """Meta-steps between measurements on new problems."""
    eval_tasks: int = 256
    """New problems behind the error that is reported."""
    finetune_steps: int = 500
    """Steps of Adam that a generated and a random network are fine-tuned for on each benchmark, 0
    for none."""
    rounds: tuple[int, ...] = (3, 10)
    """Numbers of refinement rounds that the benchmarks are evaluated after."""

    def __post_init__(self) -> None:
        one_of("decoder", self.decoder, get_args(DecoderName))
        least = {
            "grid": 8,
            "interior": 1,
            "boundary": 1,
            "width": 4,
            "window": 1,
            "mlp_ratio": 1,
            "head_hidden": 1,
            "target_width": 1,
            "target_layers": 0,
            "first_phase": 0,
            "finetune_steps": 0,
            "steps": 1,
            "tasks_per_step": 1,
            "eval_every": 1,
            "eval_tasks": 2,
        }
        for name, lowest in least.items():
            check_whole(self, (name,), lowest)
        for name in ("homogeneous", "unsupervised"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(name, getattr(self, name), "a share, 0 to 1")
        check_positive(self, ("learning_rate", "clip_norm", "adam_epsilon"))
        if not 0 <= self.weight_decay < float("inf"):
            raise ConfigError("weight_decay", self.weight_decay, "a finite number of 0 or more")
        for name in ("weights_first", "weights_second"):
            values = getattr(self, name)
            if len(values) != 6 or not all(0 <= value < float("inf") for value in values):
                raise ConfigError(name, values, "six finite numbers of 0 or more")
        if not self.rounds or min(self.rounds) < 1:
            raise ConfigError("rounds", self.rounds, "whole numbers of 1 or more")
        if not self.depths or len(self.depths) != len(self.heads) or min(self.depths) < 1:
            raise ConfigError(
                "depths", self.depths, f"a number for each of {len(self.heads)} stages"
            )
        for stage, heads in enumerate(self.heads):
            channels = self.width * 2**stage
            if heads < 1 or channels % heads:
                raise ConfigError("heads", heads, f"a divisor of the {channels} of stage {stage}")
        if self.width % 4 or (self.width > 32 and self.width % 32):
            raise ConfigError("width", self.width, "a multiple of 4, and of 32 if above")
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


PRESETS = {
    "tiny": Config(),
    "cpu": dataclasses.replace(
        Config(), homogeneous=0.5, first_phase=2000, steps=8000, eval_every=1000
    ),
    "paper": Config(
        grid=224,
        interior=2048,
        boundary=2048,
        width=128,
        depths=(2, 2, 10, 2),
        heads=(4, 8, 8, 16),
        window=7,
        head_hidden=256,
        first_phase=10_000,
        steps=30_000,
        tasks_per_step=128,
        learning_rate=1e-4,
        remat=True,
        bfloat16=True,
        eval_every=1000,
    ),
}
"""tiny: a quarter of an hour on a core. cpu: under an hour; half of its problems are 0 on the edge.
paper: the published sizes, for a GPU."""
