"""What HyperDistill's problem is, a test-bed and its tasks, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from metajax.core import (
    ConfigError,
    Count,
    Decay,
    Fraction,
    Number,
    Positive,
    Range,
    Several,
    divisor_of,
)
from metajax.systems.parts import check_classes


@dataclass(frozen=True)
class Settings:
    """Hyperparameters meta-learned online, while tasks are being fitted (arXiv 2110.02508)."""

    testbed: Literal["sinusoid", "anil", "warpgrad", "weights"] = "sinusoid"
    """What is tuned, and on which tasks. sinusoid: the hidden layers of a regressor. anil:
    the lower blocks of a convolutional network. warpgrad: warp layers between its blocks.
    weights: a network that weighs examples by their loss, under noisy labels."""
    inner_steps: Count = 30
    """Steps of an inner optimization, T."""
    inner_lr: Positive = 0.01
    """Learning rate of the inner SGD."""
    momentum: Decay = 0.9
    """Momentum of the inner SGD."""
    reptile_rate: Fraction = 1.0
    """Share of the way that the shared start moves toward the mean of the tasks' results, with
    every method."""
    shots: Count = 10
    """Examples that a task is fitted to; per class on images."""
    queries: Count = 100
    """Examples of the outer loss; per class on images, where batches are drawn from them. With only
    10, as many as `shots`, the hyperparameters overfit them."""
    width: Count = 100
    """Size of the hidden layers of the regressor (sinusoid) or the weighting network (weights),
    units."""
    layers: Count = 3
    """Hidden layers (sinusoid), convolution blocks (images)."""
    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`. This and the fields down to
    `label_noise` are for images only."""
    split: str = "train+test"
    """TFDS split that images come from; training and test differ in classes, not in images."""
    image_size: Count = 8
    """Height and width that images are resized to, pixels."""
    image_channels: Literal[1, 3] = 1
    """Color channels that images are converted to: 1 (gray) or 3 (RGB)."""
    rotations: bool = False
    """Add each class turned by 90, 180 and 270 degrees as classes of their own."""
    classes: tuple[Count, Count, Count] = (5, 2, 3)
    """Classes of the base set (before rotations) for training, validation and test."""
    ways: Several = 5
    """Classes of a task."""
    batch_size: Count = 50
    """Examples of an inner or outer batch."""
    channels: Count = 16
    """Filters of a convolution."""
    crop: Number = 0
    """Pixels that an inner batch's images are shifted by at most."""
    flip: bool = False
    """Mirror half of an inner batch's images."""
    label_noise: Annotated[float, Range(0, 1)] = 0.0
    """Fraction of a support's labels replaced by uniform ones."""
    eval_tasks: Several = 1000
    """New tasks that every evaluated figure is a mean over."""
    eval_queries: Count = 100
    """Examples that a new task is scored on (sinusoid; images have `queries`)."""

    @property
    def images(self) -> bool:
        """Whether tasks are of images."""
        return self.testbed != "sinusoid"


@dataclass(frozen=True)
class Updates:
    """When hyperparameters are updated along an inner optimization."""

    every: Annotated[Count, divisor_of("inner_steps")] = 1
    """Inner steps between hyperparameter updates; divides `inner_steps`. drmad, unrolled and es see
    no more than these steps: with all of `inner_steps` they see the whole horizon."""


@dataclass(frozen=True)
class Perturbations(Updates):
    """How hyperparameters are perturbed, and when they are updated."""

    sigma: Positive = 0.01
    """Deviation of the perturbations."""
    pairs: Count = 16
    """Antithetic pairs of perturbed runs."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: too few layers or classes.
    """
    if config.testbed == "anil" and config.layers < 2:
        raise ConfigError("layers", config.layers, "2 or more: anil adapts the last alone")
    check_classes(config)


_SINUSOID: dict[str, Any] = {"steps": 30, "tasks_per_step": 10, "eval_every": 10}

_DIGITS: dict[str, Any] = {
    "testbed": "anil",
    "rotations": True,
    "ways": 8,
    "shots": 40,
    "queries": 40,
    "inner_steps": 50,
    "every": 2,
    "calibrate_every": 10,
    "schedule": "linear",
    "steps": 30,
    "tasks_per_step": 4,
    "eval_every": 10,
    "eval_tasks": 60,
}

_FASHION = _DIGITS | {
    "base_set": "fashion_mnist",
    "image_size": 14,
    "shots": 100,
    "queries": 100,
    "layers": 4,
}

_NOISY: dict[str, Any] = {
    "testbed": "weights",
    "label_noise": 0.4,
    "inner_lr": 0.1,
    "width": 200,
    "calibrate_every": None,
}

_CIFAR100: dict[str, Any] = {
    "testbed": "anil",
    "base_set": "cifar100",
    "image_size": 32,
    "image_channels": 3,
    "classes": (50, 20, 30),
    "ways": 10,
    "shots": 250,
    "queries": 250,
    "batch_size": 100,
    "channels": 32,
    "layers": 4,
    "crop": 4,
    "flip": True,
    "gamma": 0.99,
    "calibrate_every": 50,
    "inner_steps": 100,
    "optimizer": "sgd",
    "schedule": "linear",
    "steps": 1000,
    "tasks_per_step": 4,
    "eval_every": 100,
    "eval_tasks": 500,
}

_TINY_IMAGENET = _CIFAR100 | {
    "base_set": "tiny_imagenet",
    "split": "train",
    "image_size": 64,
    "classes": (100, 40, 60),
}

PRESETS: dict[str, dict[str, Any]] = {
    "sinusoid": _SINUSOID,
    "sinusoid_drmad": _SINUSOID | {"method": "drmad", "every": 30},
    "sinusoid_unrolled": _SINUSOID | {"method": "unrolled", "every": 30},
    "anil_digits": _DIGITS,
    "warpgrad_digits": _DIGITS | {"testbed": "warpgrad", "layers": 2},
    "weights_digits": _DIGITS | _NOISY,
    "anil_fashion": _FASHION,
    "warpgrad_fashion": _FASHION | {"testbed": "warpgrad", "layers": 3},
    "weights_fashion": _FASHION | _NOISY,
    "anil_cifar100": _CIFAR100,
    "warpgrad_cifar100": _CIFAR100 | {"testbed": "warpgrad", "layers": 3},
    "weights_cifar100": _CIFAR100 | _NOISY | {"learning_rate": 1e-2},
    "anil_tiny_imagenet": _TINY_IMAGENET,
    "warpgrad_tiny_imagenet": _TINY_IMAGENET | {"testbed": "warpgrad", "layers": 3},
}
"""sinusoid: the paper's appendix problem at full size, a minute on a core. anil, warpgrad and
weights: its image test-beds, on digits and Fashion-MNIST at a size for a CPU, on CIFAR100 and
TinyImageNet at full size for a GPU. Each by any method: ``--method NAME``."""

TINY: dict[str, Any] = {
    "inner_steps": 4,
    "width": 8,
    "layers": 2,
    "shots": 5,
    "queries": 5,
    "terms": 2,
    "pairs": 2,
    "trial_steps": 1,
    "tasks_per_step": 2,
    "eval_tasks": 6,
    "eval_queries": 5,
}
