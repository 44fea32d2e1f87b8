"""What the few-shot problem is, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from metajax.core import Count, Positive, Several


@dataclass(frozen=True)
class Settings:
    """Few-shot learning: regress sinusoids, or tell apart image classes never trained on."""

    tasks: Literal["sinusoid", "images"] = "sinusoid"
    """Kind of task."""
    shots: Count = 10
    """Examples to learn from; per class on images."""
    queries: Count = 10
    """Examples that training is scored on; per class on images."""
    width: Count = 40
    """Size of the regressor's hidden layers, units (sinusoid)."""
    layers: Count = 2
    """Hidden layers (sinusoid), convolution blocks (images)."""
    base_set: str = "digits"
    """Set of images that tasks are made from; see `metajax data list`. This and
    the fields down to `channels` are for images only."""
    split: str = "train+test"
    """TFDS split that images come from. Training and test differ in classes, not in images."""
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
    channels: Count = 32
    """Filters of a convolution."""
    eval_tasks: Several = 1000
    """New tasks that every evaluated figure is a mean over."""
    eval_steps: Count = 10
    """Gradient steps of adapting to a new task."""
    eval_queries: Count = 100
    """Examples that a new task is scored on (sinusoid; images have `queries`)."""

    @property
    def images(self) -> bool:
        """Whether tasks are of images."""
        return self.tasks == "images"


@dataclass(frozen=True)
class Inner:
    """The inner steps of a method that adapts by gradients."""

    inner_steps: Count = 5
    """Gradient steps of adapting."""
    inner_lr: Positive | None = None
    """Learning rate of adapting; learned rates are factors of it. None: 1 by cavia, else .01 on
    sinusoids and .1 on images."""


_SINUSOID: dict[str, Any] = {"clip_norm": 10.0}

_IMAGES: dict[str, Any] = {
    "tasks": "images",
    "shots": 1,
    "queries": 5,
    "layers": 3,
    "rotations": True,
    "clip_norm": 10.0,
    "steps": 1000,
    "tasks_per_step": 8,
    "eval_every": 200,
    "eval_tasks": 600,
    "anneal_steps": 300,
}

_OMNIGLOT = _IMAGES | {
    "base_set": "omniglot",
    "image_size": 28,
    "classes": (1100, 100, 423),
    "layers": 4,
    "channels": 64,
    "queries": 15,
    "steps": 30_000,
    "tasks_per_step": 32,
    "eval_every": 1000,
    "anneal_steps": 10_000,
}

_MINI_IMAGENET = _OMNIGLOT | {
    "base_set": "mini_imagenet",
    "split": "train",
    "image_size": 84,
    "image_channels": 3,
    "classes": (64, 16, 20),
    "rotations": False,
    "channels": 32,
    "tasks_per_step": 4,
    "steps": 60_000,
    "inner_lr": 0.01,
}

PRESETS: dict[str, dict[str, Any]] = {
    "sinusoid": _SINUSOID,
    "sinusoid_quick": _SINUSOID | {"steps": 2000, "eval_every": 500},
    "digits": _IMAGES,
    "fashion": _IMAGES | {"base_set": "fashion_mnist", "image_size": 14},
    "omniglot_small": _IMAGES
    | {"base_set": "omniglot_small", "split": "train", "image_size": 14, "classes": (150, 30, 62)},
    "omniglot": _OMNIGLOT,
    "omniglot_5shot": _OMNIGLOT | {"shots": 5},
    "mini_imagenet": _MINI_IMAGENET,
    "mini_imagenet_5shot": _MINI_IMAGENET | {"shots": 5},
}
"""sinusoid: the standard problem, 10 shots. digits, fashion: five ways, one shot, minutes on a
core. omniglot_small: the two small sets of Omniglot, where they were prepared from files. omniglot
and mini_imagenet: the full sets, for a GPU. Each by any method: ``--method NAME``."""

TINY: dict[str, Any] = {
    "tasks": "images",
    "shots": 1,
    "queries": 5,
    "layers": 1,
    "channels": 4,
    "rotations": True,
    "tasks_per_step": 2,
    "inner_steps": 2,
    "pairs": 2,
    "anneal_steps": 2,
    "eval_tasks": 4,
    "eval_steps": 3,
}
