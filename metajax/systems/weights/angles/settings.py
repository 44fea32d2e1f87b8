"""Settings of the condition ``angles``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import Range, Several
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Angles by which images are turned."""

    most_turn: Annotated[float, Range(above=0, high=180)] = 60.0
    """How far images are turned at most, degrees to either side."""
    eval_angles: Several = 9
    """Angles that accuracy is measured at, evenly from one side to the other."""


PRESETS: dict[str, dict[str, Any]] = {
    "angles": {},
    "fashion_angles": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
}
"""angles: scikit-learn's digits, turned by up to 60 degrees, seconds on a core. fashion_angles: the
same with Fashion-MNIST at 14 x 14 pixels."""

TINY: dict[str, Any] = {"eval_angles": 3}
"""The smallest settings that each method still does all of its work with."""
