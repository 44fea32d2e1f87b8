"""Settings of the problem of generated weights and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from metajax.core import ConfigError, Count, Range, Several
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Classify images by networks whose weights are generated, one network for each condition."""

    condition: Literal["angles", "widths"] = "angles"
    """What networks are generated for: angles by which images are turned, or widths of a layer."""
    examples: Count = 32
    """Images of a draw, which has one condition; a step trains on `tasks_per_step` draws."""
    width: Count = 64
    """Size of the network's hidden layers, units; the largest where widths differ."""
    layers: Count = 1
    """Hidden layers of the network."""
    most_turn: Annotated[float, Range(above=0, high=180)] = 60.0
    """How far images are turned at most, degrees to either side (angles)."""
    train_widths: tuple[Count, ...] = (16, 20, 24, 28, 32)
    """Widths of the middle hidden layer that are trained, units (widths)."""
    eval_angles: Several = 9
    """Angles that accuracy is measured at, evenly from one side to the other (angles)."""
    eval_widths: tuple[Count, ...] = (4, 8, 16, 18, 22, 26, 30, 32)
    """Widths that accuracy is measured at, units (widths)."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a method is trained."""

    steps: Count = 600
    """Steps."""
    tasks_per_step: Count = 8
    """Conditions of a step, each with images of its own."""
    eval_every: Count = 100
    """Steps between measurements on test images."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: no width, or one above the largest.
    """
    if config.condition != "widths":
        return
    for field in ("train_widths", "eval_widths"):
        widths = getattr(config, field)
        if not widths or max(widths) > config.width:
            expected = f"one width or more, each at most width = {config.width}"
            raise ConfigError(field, widths, expected)


_WIDTHS: dict[str, Any] = {
    "method": "slimmable",
    "condition": "widths",
    "width": 32,
    "layers": 3,
}

PRESETS: dict[str, dict[str, Any]] = {
    "angles": {},
    "widths": _WIDTHS | {"steps": 1500, "eval_every": 250},
    "fashion_angles": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
    "fashion_widths": _WIDTHS
    | {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
}
"""angles: scikit-learn's digits, turned by up to 60 degrees, seconds on a core. widths: digits, and
a hidden layer of 4 to 32 units. fashion_angles, fashion_widths: the same with Fashion-MNIST at
14 x 14 pixels."""

USUAL_PRESETS = dict.fromkeys(("slimmable", "first_units", "largest_norm"), "widths")
"""Presets of methods that do not fit the first one."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "examples": 4,
    "width": 4,
    "tasks_per_step": 2,
    "train_widths": (2, 4),
    "eval_widths": (2, 3, 4),
    "eval_angles": 3,
}
"""The smallest settings that each method still does all of its work with."""
