"""Settings of the problem of growth and of its training, and presets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import (
    ConfigError,
    Count,
    ProperFraction,
    Range,
    Several,
    at_most,
    multiple_of,
)
from metajax.learners import stage_lengths
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Classify images by a network that may start from, or learn from, a smaller one."""

    text: str | None = None
    """Text file whose next character is predicted, in place of images; its last tenth is for the
    test."""
    context: Count = 8
    """Characters that a prediction of the next one reads."""
    symbols: Annotated[int, Range(1, 255)] = 60
    """Characters of a text that are distinguished, the most frequent ones; others are one class."""
    train_images: Count | None = None
    """Images that are trained on, drawn at random, the same for all runs; None: all."""
    label_noise: Annotated[float, Range(0, 1)] = 0.0
    """Part of the training labels that are replaced by random classes, the same for all runs."""
    domains: Annotated[int, Range(1, 4)] = 1
    """Kinds of images: as they are, turned by 90 degrees, inverted, and both; 1 has the first."""
    examples: Annotated[Count, multiple_of("domains")] = 64
    """Images of an update, as many of each domain."""
    layers: Count = 2
    """Hidden layers of the large network; the small one has one."""
    width: Count = 128
    """Size of each hidden layer of the large network, units."""
    small_width: Annotated[Count, at_most("width")] = 16
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


@dataclass(frozen=True)
class Dense:
    """The dense network that is trained before its experts."""

    dense_share: ProperFraction = 0.5
    """Part of the steps in which the dense network is trained."""


@dataclass(frozen=True)
class Blocks(Dense):
    """A residual network of feed-forward blocks."""

    blocks: Count = 3
    """Feed-forward blocks."""
    block_width: Count = 48
    """Size of the values that blocks add to, units."""
    block_hidden: Count = 48
    """Hidden units of a block."""


@dataclass(frozen=True)
class Active:
    """What is used of the large network."""

    active_share: ProperFraction = 0.5
    """Part of the units of each hidden layer that an expert has."""


@dataclass(frozen=True)
class Deep:
    """A deep network, of which parts can be trained apart."""

    modules: Several = 4
    """Parts of the deep network."""
    module_layers: Several = 4
    """Layers of a part."""
    module_width: Count = 32
    """Size of each layer of the deep network, units."""
    residual: bool = True
    """Whether a layer adds to what it reads, normalized; else layers are plain."""


def incubating_steps(tune_share: float, steps: int, costs: tuple[float, float]) -> tuple[int, ...]:
    """Return the steps of the shallow network, the parts and the assembled network.

    Their costs add up to that of ``steps`` updates of the assembled network, up to rounding.

    Args:
      tune_share: part of the steps of the assembled network.
      steps: of all.
      costs: of an update of the shallow network, and of all parts, in updates of the assembled one.

    Raises:
      ConfigError: there are fewer than three steps.
    """
    tuned, left = stage_lengths(steps, [tune_share])
    if left < 2:
        expected = "3 or more, and a tune_share that leaves two to what comes before"
        raise ConfigError("steps", steps, expected)
    shallow, parts = costs
    first = round(left * (parts - 1) / (parts - shallow))
    first = min(max(first, 1), left - 1)
    return first, left - first, tuned


SHARES = ("early_share", "teacher_share", "dense_share", "router_share", "tune_share")
"""Options that say how long a stage is, in the order of the stages."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: a text in several domains, or stages that leave no step to the last.
    """
    if config.text is not None and config.domains > 1:
        raise ConfigError("domains", config.domains, "1, for a text")
    shares = {field: getattr(config, field) for field in SHARES if hasattr(config, field)}
    ends = itertools.accumulate(stage_lengths(config.steps, shares.values()))
    for (field, share), end in zip(shares.items(), ends, strict=False):
        if end >= config.steps:
            expected = f"a part that leaves one of the {config.steps} steps to the last stage"
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
    "digit_domains": {"domains": 4, "steps": 1200, "eval_every": 300},
    "fashion": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "small_width": 32,
        "steps": 3000,
        "eval_every": 300,
    },
    "noisy_fashion": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "train_images": 1000,
        "label_noise": 0.3,
        "width": 256,
        "small_width": 32,
        "steps": 800,
        "eval_every": 100,
        "smoothing": 0.3,
        "weight": 4.0,
        "final_weight": 4.0,
        "to_large": 3.0,
        "to_small": 3.0,
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
place of 30% of the training labels, and more weight on what a teacher says. digit_domains: digits
as they are, turned, inverted, and both, for methods that make experts. fashion: Fashion-MNIST
at 14x14 pixels. noisy_fashion: 1,000 of its images, with a random class in place of 30% of their
labels. supernets: digits, and 36 architectures of small networks."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "examples": 4,
    "width": 4,
    "small_width": 2,
    "tasks_per_step": 2,
    "early_share": 0.5,
    "teacher_share": 0.25,
    "domains": 2,
    "dense_share": 0.25,
    "router_share": 0.25,
    "blocks": 2,
    "block_width": 4,
    "block_hidden": 4,
    "copies": 2,
    "router_width": 2,
    "modules": 2,
    "module_layers": 2,
    "module_width": 2,
    "tune_share": 0.5,
    "held_out_share": 0.25,
    "snapshots": 2,
    "candidates": 2,
    "paths": 2,
}
"""The smallest settings that each method still does all of its work with."""
