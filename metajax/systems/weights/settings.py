"""Settings that all kinds of problem of the family have, and those of training."""

from __future__ import annotations

from dataclasses import dataclass

from metajax.core import Count
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class SharedSettings(ImageSplits):
    """What all kinds of problem have."""

    examples: Count = 32
    """Images of a draw, which has one condition; a step trains on `tasks_per_step` draws."""
    width: Count = 64
    """Size of the network's hidden layers, units; the largest where widths differ."""
    layers: Count = 1
    """Hidden layers of the network."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a method is trained."""

    steps: Count = 600
    """Steps."""
    tasks_per_step: Count = 8
    """Conditions of a step, each with images of its own."""
    eval_every: Count = 100
    """Steps between measurements on test images."""


TINY = {"image_size": 4, "examples": 4, "width": 4, "tasks_per_step": 2}
"""The smallest settings that all kinds of problem have."""
