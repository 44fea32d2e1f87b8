"""Settings of HyperDistill's test-beds, and the presets that were run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from metajax.core import ConfigError, check_positive, check_whole

BedName = Literal["sinusoid", "anil", "warpgrad", "weights"]

Method = Literal[
    "distilled",
    "one_step",
    "first_order",
    "drmad",
    "neumann",
    "unrolled",
    "forward",
    "es",
    "pes",
    "random_search",
]


@dataclass(frozen=True)
class Config:
    """Online hyperparameter meta-learning with hypergradient distillation (arXiv 2110.02508)."""

    bed: BedName = "sinusoid"
    """What is hyperparameter, and of which tasks. sinusoid: the hidden layers of a regressor. anil:
    the lower blocks of a convolutional network. warpgrad: warp layers between its blocks.
    weights: a network that weighs examples by their loss, under noisy labels."""
    method: Method = "distilled"
    """The hypergradient; all but the first are rivals. random_search takes none: it draws
    hyperparameters and keeps the best."""
    gamma: float = 0.9
    """Decay of older steps' weights (distilled), at least 0 and below 1."""
    calibrate_every: int | None = None
    """Meta-steps between estimates of theta (distilled). None: theta stays 1."""
    terms: int = 5
    """Terms of the Neumann series (neumann)."""
    sigma: float = 0.01
    """Deviation of the perturbations (es, pes)."""
    pairs: int = 16
    """Antithetic pairs of perturbed runs (es, pes)."""
    trial_steps: int = 10
    """Meta-steps that drawn hyperparameters are tried for (random_search)."""
    every: int = 1
    """Inner steps between hyperparameter updates; divides `inner_steps`. drmad and unrolled see
    only so many steps back: `inner_steps` gives them the whole horizon."""
    inner_steps: int = 30
    """Steps of an inner optimisation, T."""
    inner_lr: float = 0.01
    """Learning rate of the inner SGD."""
    momentum: float = 0.9
    """Momentum of the inner SGD, at least 0 and below 1."""
    outer_optimizer: Literal["adam", "sgd"] = "adam"
    """Optimiser of the hyperparameters; sgd has momentum .9."""
    outer_lr: float = 1e-3
    """Its learning rate, per update."""
    outer_decay: bool = False
    """Whether that falls linearly to 0 at the last update."""
    reptile_rate: float = 1.0
    """How far the shared start moves towards the tasks' mean result, 0 to 1."""
    steps: int = 30
    """Meta-steps, each an inner optimisation of every task, M."""
    tasks_per_step: int = 10
    """Tasks of a meta-step."""
    shots: int = 10
    """Examples that a task is fitted to; per class on the image beds."""
    queries: int = 100
    """Examples of the outer loss; per class on the image beds, which draw batches from them. With
    the 10 that `shots` has, the hyperparameters fit those."""
    width: int = 100
    """Size of the hidden layers (sinusoid), of the weighing network's (weights), units."""
    layers: int = 3
    """Hidden layers (sinusoid), convolution blocks (image beds)."""
    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`. Image beds, as is all below
    but the last four."""
    split: str = "train+test"
    """TFDS split that images come from; classes, not images, keep training and test apart."""
    image_size: int = 8
    """Height and width that images are resized to, pixels."""
    image_channels: int = 1
    """Colour channels that images are converted to: 1 (grey) or 3 (RGB)."""
    rotations: bool = False
    """Add each class turned by 90, 180 and 270 degrees as classes of their own."""
    classes: tuple[int, int, int] = (5, 2, 3)
    """Classes of the base set (before rotations) for training, validation and test."""
    ways: int = 5
    """Classes of a task."""
    batch_size: int = 50
    """Examples of an inner or outer batch."""
    channels: int = 16
    """Filters of a convolution."""
    crop: int = 0
    """Pixels that an inner batch's images are shifted by at most."""
    flip: bool = False
    """Mirror half of an inner batch's images."""
    label_noise: float = 0.0
    """Fraction of a support's labels replaced by uniform ones, 0 to 1."""
    seed: int = 0
    """Seed of the run: weights, tasks and order."""
    eval_every: int = 10
    """Meta-steps between measurements on new tasks (image beds: of validation classes)."""
    eval_tasks: int = 1000
    """New tasks behind every evaluated figure."""
    eval_queries: int = 100
    """Examples that a new task is scored on (sinusoid; image beds use `queries`)."""

    def __post_init__(self) -> None:
        sizes = (
            "terms",
            "pairs",
            "trial_steps",
            "every",
            "inner_steps",
            "steps",
            "tasks_per_step",
            "shots",
            "queries",
            "width",
            "layers",
            "image_size",
            "batch_size",
            "channels",
            "eval_every",
            "eval_queries",
            "calibrate_every",
        )
        check_whole(self, sizes)
        check_whole(self, ("eval_tasks", "ways"), 2)
        check_positive(self, ("inner_lr", "outer_lr", "sigma"))
        for name in ("gamma", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(name, getattr(self, name), "at least 0 and below 1")
        for name in ("reptile_rate", "label_noise"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(name, getattr(self, name), "0 to 1")
        if self.image_channels not in (1, 3):
            raise ConfigError("image_channels", self.image_channels, "1 (grey) or 3 (RGB)")
        check_whole(self, ("crop",), 0)
        if len(self.classes) != 3 or min(self.classes) < 1:
            raise ConfigError(
                "classes", self.classes, "numbers of classes for training, validation and test"
            )
        if self.bed == "anil" and self.layers < 2:
            raise ConfigError("layers", self.layers, "2 or more: anil adapts the last alone")
        if self.bed != "sinusoid":
            turns = 4 if self.rotations else 1
            if self.ways > turns * min(self.classes):
                raise ConfigError(
                    "ways",
                    self.ways,
                    f"at most {turns * min(self.classes)}, the classes of the smallest part of "
                    f"classes = {self.classes}{' in four rotations' if self.rotations else ''}",
                )
        if self.inner_steps % self.every:
            raise ConfigError("every", self.every, f"a divisor of inner_steps = {self.inner_steps}")
        if self.steps % self.trial_steps and self.method == "random_search":
            raise ConfigError("trial_steps", self.trial_steps, f"a divisor of steps = {self.steps}")
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


_DIGITS = Config(
    bed="anil",
    base_set="digits",
    image_size=8,
    rotations=True,
    ways=8,
    shots=40,
    queries=40,
    inner_steps=50,
    every=2,
    outer_decay=True,
    layers=3,
    channels=16,
    calibrate_every=10,
    steps=30,
    tasks_per_step=4,
    eval_every=10,
    eval_tasks=60,
)

_FASHION = dataclasses.replace(
    _DIGITS, base_set="fashion_mnist", image_size=14, shots=100, queries=100, layers=4
)

_NOISY: dict[str, Any] = {
    "bed": "weights",
    "label_noise": 0.4,
    "inner_lr": 0.1,
    "width": 200,
    "calibrate_every": None,
}

_CIFAR100 = Config(
    bed="anil",
    base_set="cifar100",
    image_size=32,
    image_channels=3,
    classes=(50, 20, 30),
    ways=10,
    shots=250,
    queries=250,
    batch_size=100,
    channels=32,
    layers=4,
    crop=4,
    flip=True,
    gamma=0.99,
    calibrate_every=50,
    inner_steps=100,
    outer_optimizer="sgd",
    outer_lr=1e-3,
    outer_decay=True,
    steps=1000,
    tasks_per_step=4,
    eval_every=100,
    eval_tasks=500,
)

_TINY_IMAGENET = dataclasses.replace(
    _CIFAR100, base_set="tiny_imagenet", split="train", image_size=64, classes=(100, 40, 60)
)

PRESETS = {
    "sinusoid": Config(),
    "sinusoid_drmad": dataclasses.replace(Config(), method="drmad", every=30),
    "sinusoid_unrolled": dataclasses.replace(Config(), method="unrolled", every=30),
    "anil_digits": _DIGITS,
    "warpgrad_digits": dataclasses.replace(_DIGITS, bed="warpgrad", layers=2),
    "weights_digits": dataclasses.replace(_DIGITS, **_NOISY),
    "anil_fashion": _FASHION,
    "warpgrad_fashion": dataclasses.replace(_FASHION, bed="warpgrad", layers=3),
    "weights_fashion": dataclasses.replace(_FASHION, **_NOISY),
    "anil_cifar100": _CIFAR100,
    "warpgrad_cifar100": dataclasses.replace(_CIFAR100, bed="warpgrad", layers=3),
    "weights_cifar100": dataclasses.replace(_CIFAR100, **_NOISY, outer_lr=1e-2),
    "anil_tiny_imagenet": _TINY_IMAGENET,
    "warpgrad_tiny_imagenet": dataclasses.replace(_TINY_IMAGENET, bed="warpgrad", layers=3),
}
"""sinusoid: the paper's appendix bed at full size, a minute on a core; with --method for rivals.
anil, warpgrad and weights: its image beds, on digits and Fashion-MNIST at a size for a CPU, on
CIFAR100 and TinyImageNet at full size for a GPU."""
