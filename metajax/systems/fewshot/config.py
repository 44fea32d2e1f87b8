"""Settings of the few-shot learners, and the presets that were run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from metajax.core import ConfigError, check_positive, check_whole

LearnerName = Literal[
    "maml",
    "first_order_maml",
    "anil",
    "meta_sgd",
    "maml_plus_plus",
    "imaml",
    "cavia",
    "reptile",
    "evolution",
    "ridge",
    "prototypical",
    "matching",
]

LEARNERS: tuple[LearnerName, ...] = get_args(LearnerName)
"""All of them."""

CLOSED_FORM: tuple[LearnerName, ...] = ("ridge", "prototypical", "matching")
"""Learners that read a support at once; all others adapt step by step."""

CLASSIFIERS: tuple[LearnerName, ...] = ("prototypical", "matching")
"""Learners that only classify."""

INNER_RATES: dict[LearnerName, float] = {"cavia": 1.0}
"""Inner learning rates where they differ from .01 (sinusoid) and .1 (images)."""


@dataclass(frozen=True)
class Config:
    """Few-shot learning: regress sinusoids, or tell apart image classes never trained on."""

    learner: LearnerName = "maml"
    """Which learner. maml to reptile adapt weights (cavia: a context) by gradient steps; evolution
    meta-trains maml without derivatives; the last three read the support at once."""
    tasks: Literal["sinusoid", "images"] = "sinusoid"
    """What tasks are of."""
    shots: int = 10
    """Examples to learn from; per class on images."""
    queries: int = 10
    """Examples that training scores; per class on images."""
    width: int = 40
    """Size of the regressor's hidden layers, units (sinusoid)."""
    layers: int = 2
    """Hidden layers (sinusoid), convolution blocks (images)."""
    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`. Images only, as is all down
    to `channels`."""
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
    channels: int = 32
    """Filters of a convolution."""
    inner_steps: int = 5
    """Gradient steps of adapting."""
    inner_lr: float | None = None
    """Learning rate of adapting; meta_sgd and maml_plus_plus learn factors of it. None: .01 on
    sinusoids, .1 on images, 1 for cavia."""
    context_size: int = 8
    """Numbers of the context that is adapted (cavia)."""
    strength: float = 2.0
    """Weight of the pull towards the shared start (imaml)."""
    damping: float = 10.0
    """Added to the eigenvalues of the inner loss's Hessian, some of which are below 0 (imaml)."""
    anneal_steps: int = 2000
    """Meta-steps until the loss after the last inner step counts alone (maml_plus_plus)."""
    sigma: float = 0.03
    """Deviation of the perturbations (evolution)."""
    pairs: int = 16
    """Antithetic pairs of perturbations per task (evolution)."""
    scale: float = 10.0
    """Factor on the cosines (matching), and where that on the outputs starts (ridge, images)."""
    learning_rate: float = 1e-3
    """Adam learning rate of meta-training; for reptile the first share of the way moved, which
    falls to 0 linearly, is `reptile_rate`."""
    reptile_rate: float = 1.0
    """See `learning_rate`."""
    clip_norm: float | None = 10.0
    """Largest norm of a meta-gradient, which one diverging task would else rule; None: any."""
    steps: int = 10_000
    """Meta-steps."""
    tasks_per_step: int = 25
    """Tasks of a meta-step."""
    seed: int = 0
    """Seed of the run: weights, tasks and order."""
    eval_every: int = 1000
    """Meta-steps between measurements on new tasks (images: of validation classes)."""
    eval_tasks: int = 1000
    """New tasks behind every evaluated figure."""
    eval_steps: int = 10
    """Gradient steps that a new task is followed for."""
    eval_queries: int = 100
    """Examples that a new task is scored on (sinusoid; images have `queries`)."""

    @property
    def rate(self) -> float:
        """The inner learning rate, `inner_lr` or the usual one."""
        if self.inner_lr is not None:
            return self.inner_lr
        usual = 0.01 if self.tasks == "sinusoid" else 0.1
        return INNER_RATES.get(self.learner, usual)

    def __post_init__(self) -> None:
        sizes = (
            "shots",
            "queries",
            "width",
            "layers",
            "image_size",
            "channels",
            "inner_steps",
            "context_size",
            "anneal_steps",
            "pairs",
            "steps",
            "tasks_per_step",
            "eval_every",
            "eval_steps",
            "eval_queries",
        )
        check_whole(self, sizes)
        check_whole(self, ("ways", "eval_tasks"), 2)
        check_positive(
            self, ("strength", "sigma", "scale", "learning_rate", "inner_lr", "clip_norm")
        )
        if not 0 <= self.damping < float("inf"):
            raise ConfigError("damping", self.damping, "a finite number of 0 or more")
        if not 0 < self.reptile_rate <= 1:
            raise ConfigError("reptile_rate", self.reptile_rate, "above 0, at most 1")
        if self.image_channels not in (1, 3):
            raise ConfigError("image_channels", self.image_channels, "1 (grey) or 3 (RGB)")
        if len(self.classes) != 3 or min(self.classes) < 1:
            raise ConfigError(
                "classes", self.classes, "numbers of classes for training, validation and test"
            )
        if self.tasks == "sinusoid" and self.learner in CLASSIFIERS:
            raise ConfigError("learner", self.learner, "one that regresses, on sinusoids")
        turns = 4 if self.rotations else 1
        if self.tasks == "images" and self.ways > turns * min(self.classes):
            raise ConfigError(
                "ways",
                self.ways,
                f"at most {turns * min(self.classes)}, the classes of the smallest part of "
                f"classes = {self.classes}{' in four rotations' if self.rotations else ''}",
            )
        if not 0 <= self.seed < 2**32:
            raise ConfigError("seed", self.seed, "0 to 2**32 - 1")


_IMAGES = Config(
    tasks="images",
    shots=1,
    queries=5,
    layers=3,
    rotations=True,
    steps=1000,
    tasks_per_step=8,
    eval_every=200,
    eval_tasks=600,
    anneal_steps=300,
)

_OMNIGLOT = dataclasses.replace(
    _IMAGES,
    base_set="omniglot",
    image_size=28,
    classes=(1100, 100, 423),
    layers=4,
    channels=64,
    queries=15,
    steps=30_000,
    tasks_per_step=32,
    eval_every=1000,
    anneal_steps=10_000,
)

PRESETS = {
    "sinusoid": Config(),
    "sinusoid_quick": dataclasses.replace(Config(), steps=2000, eval_every=500),
    "digits": _IMAGES,
    "fashion": dataclasses.replace(_IMAGES, base_set="fashion_mnist", image_size=14),
    "omniglot_small": dataclasses.replace(
        _IMAGES,
        base_set="omniglot_small",
        split="train",
        image_size=14,
        classes=(150, 30, 62),
        queries=5,
    ),
    "omniglot": _OMNIGLOT,
    "omniglot_5shot": dataclasses.replace(_OMNIGLOT, shots=5),
    "mini_imagenet": dataclasses.replace(
        _OMNIGLOT,
        base_set="mini_imagenet",
        split="train",
        image_size=84,
        image_channels=3,
        classes=(64, 16, 20),
        rotations=False,
        channels=32,
        tasks_per_step=4,
        steps=60_000,
        inner_lr=0.01,
    ),
    "mini_imagenet_5shot": dataclasses.replace(
        _OMNIGLOT,
        base_set="mini_imagenet",
        split="train",
        image_size=84,
        image_channels=3,
        classes=(64, 16, 20),
        rotations=False,
        channels=32,
        tasks_per_step=4,
        steps=60_000,
        inner_lr=0.01,
        shots=5,
    ),
}
"""sinusoid: the standard bed, 10 shots. digits, fashion: five ways, one shot, minutes on a core.
omniglot_small: the two small sets of Omniglot, where they were prepared from files. omniglot and
mini_imagenet: the full sets, for a GPU. Each with --learner for the others."""
