"""Settings of the problem of growth and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import ConfigError, Count, ProperFraction, Range
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Classify images by a network that may start from, or learn from, a smaller one."""

    train_images: Count | None = None
    """Images that are trained on, drawn at random, the same for all runs; None: all."""
    label_noise: Annotated[float, Range(0, 1)] = 0.0
    """Part of the training labels that are replaced by random classes, the same for all runs."""
    examples: Count = 64
    """Images of an update."""
    layers: Count = 2
    """Hidden layers of the large network; the small one has one."""
    width: Count = 128
    """Size of each hidden layer of the large network, units."""
    small_width: Count = 16
    """Size of the hidden layer of the small network, units; at most `width`."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a network is trained; a step costs as much as an update of the large network."""

    steps: Count = 600
    """Steps. Small networks take several updates in each, as many as cost no more."""
    tasks_per_step: Count = 1
    """Draws of images of an update."""
    eval_every: Count = 60
    """Steps between measurements on test images."""


@dataclass(frozen=True)
class Early:
    """How a network begins that will be larger."""

    early_share: ProperFraction = 0.2
    """Part of the steps before the network has its full size."""


@dataclass(frozen=True)
class Teacher:
    """The small network that teaches the large one."""

    teacher_share: ProperFraction = 0.1
    """Part of the steps in which the teacher is trained; it stays the same from then on."""


def early_steps(share: float, steps: int) -> int:
    """Return the steps of a part of the training, one or more."""
    return max(round(share * steps), 1)


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: the small network is the larger one, or the stages leave no step to the last.
    """
    if config.small_width > config.width:
        expected = f"at most width = {config.width}"
        raise ConfigError("small_width", config.small_width, expected)
    for field in ("early_share", "teacher_share"):
        share = getattr(config, field, None)
        if share is not None and early_steps(share, config.steps) >= config.steps:
            expected = f"a part that leaves one of the {config.steps} steps to the large network"
            raise ConfigError(field, share, expected)


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "noisy_digits": {
        "label_noise": 0.3,
        "smoothing": 0.3,
        "weight": 4.0,
        "final_weight": 4.0,
        "to_large": 3.0,
        "to_small": 3.0,
    },
    "fashion": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "small_width": 32,
        "steps": 3000,
        "eval_every": 300,
    },
    "supernets": {
        "method": "supernet",
        "examples": 128,
        "small_width": 8,
        "width": 32,
        "paths": 2,
        "steps": 4000,
        "eval_every": 4000,
    },
}
"""digits: scikit-learn's digits, seconds on a core. noisy_digits: the same with a random class in
place of 30% of the training labels, and more weight on what a teacher says. fashion: Fashion-MNIST
at 14x14 pixels. supernets: digits, and 36 architectures of small networks."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "examples": 4,
    "width": 4,
    "small_width": 2,
    "tasks_per_step": 2,
    "early_share": 0.5,
    "teacher_share": 0.25,
    "candidates": 2,
    "paths": 2,
}
"""The smallest settings that each method still does all of its work with."""
