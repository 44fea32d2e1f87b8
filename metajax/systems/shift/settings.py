"""Settings of the test-time adaptation problem and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import optax

from metajax.core import Count, Number, Range, below
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import MOMENTUM
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Train on images, then predict a stream of shifted ones without labels."""

    examples: Count = 64
    """Images of a draw; a step trains on `tasks_per_step` draws."""
    width: Count = 12
    """Filters of the network's first part; each further part has twice as many."""
    parts: Count = 3
    """Parts of the network, each of which halves the image."""
    layers: Count = 1
    """Convolutions of a part."""
    severity: Annotated[float, Range(0, 5)] = 2.0
    """Severity of the shifts, from 0 (none) to 5."""
    online_batch: Count = 64
    """Images of a batch of the stream."""
    images_per_shift: Count = 256
    """Images of each kind of shift in a round; the last partial batch is dropped."""
    num_rounds: Count = 10
    """Rounds of the stream, each of all kinds of shift."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How training proceeds: first the source network, then what is on top of it."""

    steps: Count = 1000
    """Steps, those of the warm-up included."""
    warm_steps: Annotated[Number, below("steps")] = 200
    """Last steps, in which the source network is frozen and meta networks are trained."""
    tasks_per_step: Count = 1
    """Draws of a step."""
    eval_every: Count = 200
    """Steps between measurements on clean images."""

    def make_warm_optimizer(self, rate: float) -> optax.GradientTransformation:
        """Return the optimizer of the warm-up: SGD with momentum, its rate falling by a cosine."""
        falling = optax.cosine_decay_schedule(rate, max(self.warm_steps, 1))
        return optax.sgd(falling, MOMENTUM)


PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "fashion": {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "warm_steps": 1000,
        "severity": 2.5,
        "images_per_shift": 640,
        "eval_every": 1000,
    },
}
"""digits: scikit-learn's digits, a minute on a core. fashion: Fashion-MNIST at 14 x 14 pixels, ten
rounds of eight shifts."""

TINY: dict[str, Any] = {
    "examples": 4,
    "image_size": 4,
    "warm_steps": 2,
    "width": 2,
    "parts": 2,
    "online_batch": 8,
    "images_per_shift": 16,
    "num_rounds": 2,
    "tasks_per_step": 2,
}
"""The smallest settings that each method still does all of its work with."""
