"""Settings of GPICL, and the presets that were run."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from metajax.core import ConfigError, check_positive, check_whole

LearnerName = Literal[
    "transformer", "lstm", "outer_product_lstm", "mlp", "maml", "sgd", "nearest_neighbour"
]

NOT_TRAINED: tuple[LearnerName, ...] = ("sgd", "nearest_neighbour")
"""Learners without meta-parameters to train: they are only evaluated."""


@dataclass(frozen=True)
class Config:
    """General-purpose in-context learning by meta-learning Transformers (arXiv 2212.04458)."""

    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`."""
    train_split: str = "train"
    """TFDS split that training draws images from."""
    test_split: str = "test"
    """TFDS split that every evaluation draws images from."""
    image_size: int = 4
    """Height and width that images are resized to, pixels."""
    channels: int = 1
    """Colour channels that images are converted to: 1 (grey) or 3 (RGB)."""
    host_fed: bool = False
    """Read images on the host with Grain instead of holding the set on the device."""
    ways: int = 3
    """Classes of a task; fewer than the base set has are drawn per task."""
    min_ways: int | None = None
    """Training draws use this many of a task's classes or more, up to `ways`, each number as
    often: a curriculum that shortens the loss plateau. None: always all of them."""
    examples: int = 24
    """Examples of a sequence, the last one included."""
    num_tasks: int = 2**20
    """Tasks that training draws from."""
    bias_fraction: float = 0.0
    """Fraction of training draws with one fixed label order: a curriculum that shortens the
    loss plateau (0 to 1)."""
    learner: LearnerName = "transformer"
    """Which learner; all but the first are the paper's baselines."""
    width: int = 64
    """Size of the residual stream (Transformer), of the state (LSTMs) or of the hidden layers
    (mlp, maml, sgd), units."""
    layers: int = 2
    """Transformer layers."""
    heads: int = 4
    """Attention heads per layer; must divide the width."""
    key_size: int = 16
    """Size of a head's queries, keys and values, units."""
    mlp_ratio: int = 4
    """Hidden size of a Transformer layer's MLP over the width."""
    label_scale: float = 4.0
    """Factor on the one-hot label in a token, the paper's is 1; sqrt(pixels) gives image and
    label equal power and shortens the loss plateau."""
    inner_lr: float = 1e-3
    """Adam learning rate within a sequence, per example (maml, sgd)."""
    steps: int = 4000
    """Meta-steps."""
    tasks_per_step: int = 32
    """Tasks of a meta-step."""
    sequences_per_task: int = 1
    """Sequences of each of these tasks."""
    microbatches: int = 1
    """Parts of a meta-step's tasks worked through one after the other, to save memory."""
    learning_rate: float = 1e-3
    """Adam learning rate, per meta-step."""
    warmup_steps: int = 0
    """Meta-steps over which the learning rate rises linearly from 0."""
    schedule: Literal["constant", "cosine"] = "constant"
    """How the learning rate goes on after the warm-up; cosine falls to 0 at the last step."""
    adam_epsilon: float = 1e-8
    """Adam's epsilon; a smaller one shortens the loss plateau."""
    clip_norm: float | None = None
    """Largest norm of a meta-gradient, larger ones are scaled down; none by default."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format inside the loss; parameters and optimizer state stay float32."""
    seed: int = 0
    """Seed of the run: weights, tasks and order."""
    eval_every: int = 500
    """Meta-steps between measurements of the gain on seen and unseen tasks."""
    eval_tasks: int = 1024
    """Sequences, each of a task of its own, behind every evaluated figure."""
    other_sets: tuple[str, ...] = ("random",)
    """Further base sets to evaluate on after training; `random` is ten noise images. Of a set that
    does not have `test_split` all is used; one that is not on disk is left out and named."""

    def __post_init__(self) -> None:
        positive = (
            "image_size",
            "width",
            "layers",
            "heads",
            "key_size",
            "mlp_ratio",
            "steps",
            "tasks_per_step",
            "sequences_per_task",
            "microbatches",
            "eval_every",
        )
        check_whole(self, positive)
        check_whole(self, ("ways", "examples", "eval_tasks"), 2)
        check_positive(
            self, ("label_scale", "learning_rate", "inner_lr", "adam_epsilon", "clip_norm")
        )
        if self.channels not in (1, 3):
            raise ConfigError("channels", self.channels, "1 (grey) or 3 (RGB)")
        if not 1 <= self.num_tasks <= 2**31:
            raise ConfigError("num_tasks", self.num_tasks, "1 to 2**31")
        if not 0 <= self.bias_fraction <= 1:
            raise ConfigError("bias_fraction", self.bias_fraction, "a fraction between 0 and 1")
        if not 0 <= self.warmup_steps < self.steps:
            raise ConfigError(
                "warmup_steps", self.warmup_steps, f"0 to {self.steps - 1}, fewer than steps"
            )
        if self.min_ways is not None and not 2 <= self.min_ways <= self.ways:
            raise ConfigError("min_ways", self.min_ways, f"2 to {self.ways}, the ways of a task")
        if self.min_ways is not None and self.host_fed:
            raise ConfigError("min_ways", self.min_ways, "none where host_fed is on")
        if self.width % self.heads:
            small = [n for n in range(1, math.isqrt(self.width) + 1) if self.width % n == 0]
            divisors = [*small, *(self.width // n for n in small)]
            near = min(divisors, key=lambda n: abs(n - self.heads))
            raise ConfigError(
                "heads", self.heads, f"a divisor of width = {self.width}, e.g. {near}"
            )
        if self.tasks_per_step % self.microbatches:
            raise ConfigError(
                "microbatches",
                self.microbatches,
                f"a divisor of tasks_per_step = {self.tasks_per_step}",
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


_DIGITS = Config()

_CPU = Config(
    base_set="fashion_mnist",
    image_size=4,
    ways=10,
    min_ways=2,
    examples=32,
    steps=12_000,
    tasks_per_step=64,
    eval_every=1000,
    other_sets=("digits", "random"),
)

_PAPER = Config(
    base_set="fashion_mnist",
    image_size=14,
    ways=10,
    examples=100,
    num_tasks=2**24,
    label_scale=1.0,
    width=256,
    layers=4,
    heads=8,
    key_size=32,
    steps=50_000,
    tasks_per_step=16,
    sequences_per_task=32,
    eval_every=1000,
    other_sets=("mnist", "kmnist", "digits", "random"),
)

PRESETS = {
    "digits": _DIGITS,
    "cpu": _CPU,
    "paper": _PAPER,
    "memorise": dataclasses.replace(_CPU, num_tasks=2**6),
}
"""digits: minutes on 2 cores; cpu: a quarter of an hour on a core; paper: one GPU;
memorise: the preset cpu with 2^6 tasks, which are learned by heart."""
