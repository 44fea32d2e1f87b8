"""Settings of the condition ``architectures``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import SOME, Count, Positive, Several, above, at_most
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Architectures, and training from their starts."""

    train_architectures: Count = 128
    """Architectures that are trained on, drawn at random, the same for all runs: 1 to `layers`
    hidden layers of `least_width` to `width` units, ReLU or tanh."""
    least_width: Annotated[Count, at_most("width")] = 16
    """Smallest hidden layer, units."""
    widest: Annotated[Count, above("width")] = 96
    """Largest hidden layer of the wider architectures that are measured, units."""
    eval_architectures: Several = 8
    """Unseen architectures of each kind that are measured: in range, wider, with one hidden layer
    more."""
    start_steps: Annotated[tuple[Count, ...], SOME] = (10, 25, 50, 100, 200)
    """Steps of training from a start after which accuracy is measured."""
    start_lr: Positive = 1e-3
    """Learning rate of Adam in these steps."""


_ARCHITECTURES: dict[str, Any] = {
    "method": "graph_hypernetwork",
    "layers": 3,
    "examples": 64,
    "tasks_per_step": 4,
    "steps": 1500,
    "eval_every": 250,
    "clip_norm": 1.0,
    "schedule": "cosine",
}

_WIDE: dict[str, Any] = _ARCHITECTURES | {
    "width": 256,
    "widest": 512,
    "least_width": 32,
    "layers": 4,
    "train_architectures": 512,
    "state": 64,
    "rank": 32,
    "optimizer": "adamw",
    "learning_rate": 3e-4,
    "weight_decay": 1e-2,
    "steps": 5000,
    "eval_every": 1000,
}

PRESETS: dict[str, dict[str, Any]] = {
    "architectures": _ARCHITECTURES,
    "fashion_architectures": _ARCHITECTURES
    | {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
    "wide_architectures": _WIDE,
    "logah_architectures": _WIDE
    | {
        "base_set": "fashion_mnist",
        "image_size": 28,
        "width": 1024,
        "widest": 2048,
        "least_width": 64,
        "layers": 5,
        "train_architectures": 1024,
        "state": 128,
        "rank": 90,
        "steps": 20_000,
        "eval_every": 2000,
    },
}
"""architectures: digits, and multi-layer perceptrons of 1 to 3 hidden layers of 16 to 64 units.
fashion_architectures: the same with Fashion-MNIST at 14 x 14 pixels. wide_architectures: digits, 1
to 4 hidden layers of 32 to 256 units, measured up to 512, by a decoder of LoGAH's smallest size (64
features a node, rank 32; arXiv 2405.16287). logah_architectures: Fashion-MNIST at 28 x 28 pixels, 1
to 5 hidden layers of 64 to 1,024 units, measured up to 2,048, by one of its largest size. All
architectures are padded to the widest, so a step makes 1.1 million weights for each of 4
architectures in wide_architectures, and 23 million in logah_architectures: for an accelerator."""

TINY: dict[str, Any] = {
    "train_architectures": 3,
    "least_width": 2,
    "widest": 6,
    "eval_architectures": 2,
    "start_steps": (1, 2),
    "rank": 2,
    "state": 4,
    "rounds": 1,
}
"""The smallest settings that each method still does all of its work with."""
