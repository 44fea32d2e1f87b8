"""What the problem of GPICL is, how it is trained, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

import jax.numpy as jnp

from metajax.core import (
    Algorithm,
    Count,
    MetaLearner,
    Range,
    Several,
    at_most,
    divisor_of,
    off_where,
)
from metajax.systems.training import Training as SharedTraining

Baseline = Literal[
    "sgd",
    "nearest_neighbour",
    "k_nearest",
    "class_means",
    "linear_ridge",
    "kernel_ridge",
    "lda",
    "logistic",
]
"""Methods without meta-parameters to train: they are only evaluated."""
NOT_TRAINED: tuple[Baseline, ...] = get_args(Baseline)
"""Their names."""


@dataclass(frozen=True)
class Settings:
    """General-purpose in-context learning: read labeled examples, predict the next label."""

    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`."""
    train_split: str = "train"
    """TFDS split that training draws images from."""
    test_split: str = "test"
    """TFDS split that every evaluation draws images from."""
    image_size: Count = 4
    """Height and width that images are resized to, pixels."""
    image_channels: Literal[1, 3] = 1
    """Color channels that images are converted to: 1 (gray) or 3 (RGB)."""
    host_fed: bool = False
    """Read images on the host with Grain instead of holding the set on the device."""
    ways: Several = 3
    """Classes of a task; if the base set has more, each task draws its own."""
    min_ways: Annotated[Several, at_most("ways"), off_where("host_fed")] | None = None
    """Fewest classes of a training draw; the number is uniform up to `ways`. A curriculum that
    shortens the loss plateau. None: all classes always."""
    examples: Several = 24
    """Examples of a sequence, the last one included."""
    num_tasks: Annotated[int, Range(1, 2**31)] = 2**20
    """Number of tasks that training draws from."""
    bias_fraction: Annotated[float, Range(0, 1)] = 0.0
    """Fraction of training draws with one fixed label order: a curriculum that shortens the
    loss plateau (0 to 1)."""
    distorted_fraction: Annotated[float, Range(0, 1), off_where("host_fed", 0)] = 0.0
    """Fraction of training draws whose images go through one random change of levels and edges,
    so that the learner works on other sets of images too (0 to 1)."""
    sequences_per_task: Count = 1
    """Sequences of each task of a meta-step."""
    eval_tasks: Several = 1024
    """Sequences that every evaluated figure is a mean over, each of a different task."""
    baselines: tuple[Baseline, ...] = NOT_TRAINED
    """Methods that need no meta-training, scored on the same sequences in every evaluation."""
    other_sets: tuple[str, ...] = ("random",)
    """Further base sets to evaluate on after training; `random` is ten noise images. A set
    without `test_split` is used whole; a set that is not on disk is left out and named."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a sequence learner is meta-trained."""

    tasks_at_once: Count | None = None
    """Tasks of a meta-step that a device computes at the same time, to save memory; None: all."""
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    """Number format inside the loss; parameters and optimizer state stay float32."""

    def descend(self, learner: MetaLearner, **options: Any) -> Algorithm:
        """Return the algorithm that moves a learner down its loss by these settings."""
        return super().descend(
            learner,
            tasks_at_once=self.tasks_at_once,
            compute_dtype=jnp.bfloat16 if self.compute_dtype == "bfloat16" else None,
            **options,
        )


@dataclass(frozen=True)
class Sizes:
    """The sizes of a Transformer."""

    width: Count = 64
    """Size of the residual stream, units; per class in class-symmetric networks."""
    layers: Count = 2
    """Transformer layers."""
    heads: Count = 4
    """Attention heads per layer."""
    key_size: Count = 16
    """Size of a head's queries, keys and values, units."""
    mlp_ratio: Count = 4
    """Hidden size of a layer's MLP over the width."""


@dataclass(frozen=True)
class TransformerSizes(Sizes):
    """The sizes of a Transformer whose heads divide its width."""

    heads: Annotated[Count, divisor_of("width")] = 4
    """Attention heads per layer; a divisor of the width."""


_DIGITS: dict[str, Any] = {
    "steps": 4000,
    "tasks_per_step": 32,
    "eval_every": 500,
    "method": "symmetric_ridge",
    "own": {
        "steps": 400,
        "eval_every": 200,
        "schedule": "cosine",
        "clip_norm": 1.0,
    },
}

_CPU: dict[str, Any] = {
    "base_set": "fashion_mnist",
    "ways": 10,
    "min_ways": 2,
    "examples": 32,
    "steps": 12_000,
    "tasks_per_step": 64,
    "eval_every": 1000,
    "other_sets": ("digits", "random"),
}

_PAPER: dict[str, Any] = {
    "base_set": "fashion_mnist",
    "image_size": 14,
    "ways": 10,
    "examples": 100,
    "num_tasks": 2**24,
    "label_scale": 1.0,
    "width": 256,
    "layers": 4,
    "heads": 8,
    "key_size": 32,
    "steps": 50_000,
    "tasks_per_step": 16,
    "sequences_per_task": 32,
    "eval_every": 1000,
    "other_sets": ("mnist", "kmnist", "digits", "random"),
}

_TABLE: dict[str, Any] = {
    "base_set": "fashion_mnist",
    "image_size": 14,
    "ways": 10,
    "examples": 100,
    "num_tasks": 2**24,
    "distorted_fraction": 0.5,
    "method": "symmetric_ridge",
    "own": {
        "steps": 2000,
        "eval_every": 2000,
        "tasks_per_step": 8,
        "learning_rate": 3e-3,
        "warmup_steps": 100,
        "schedule": "cosine",
        "clip_norm": 1.0,
        "directions": True,
    },
    "eval_tasks": 4096,
    "baselines": ("nearest_neighbour", "class_means", "kernel_ridge", "lda"),
    "other_sets": ("mnist_5k", "digits", "random"),
}

PRESETS: dict[str, dict[str, Any]] = {
    "digits": _DIGITS,
    "cpu": _CPU,
    "table": _TABLE,
    "paper": _PAPER,
    "memorise": _CPU | {"num_tasks": 2**6},
}
"""digits: a minute on 2 cores, two by `transformer`; cpu: a quarter of an hour on a core; table:
tasks of the paper's sizes, nine minutes on a core; paper: one GPU; memorise: the preset cpu
with 2^6 tasks, which are memorized."""

TINY: dict[str, Any] = {
    "width": 16,
    "layers": 1,
    "heads": 2,
    "key_size": 8,
    "examples": 6,
    "tasks_per_step": 2,
    "eval_tasks": 4,
    "baselines": ("nearest_neighbour", "kernel_ridge"),
}
