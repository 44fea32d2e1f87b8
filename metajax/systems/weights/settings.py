"""Settings of the problem of generated weights and of its training.

Those of one condition are in a module of its own, with its presets and its smallest settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from metajax.core import Count
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining
from metajax.systems.weights.angles.settings import AngleSettings
from metajax.systems.weights.architectures.settings import ArchitectureSettings
from metajax.systems.weights.classes.settings import ClassSettings
from metajax.systems.weights.images.settings import ImageSettings
from metajax.systems.weights.modalities.settings import ModalitySettings
from metajax.systems.weights.pruning.settings import PruningSettings
from metajax.systems.weights.widths.settings import WidthSettings


@dataclass(frozen=True)
class SharedSettings(ImageSplits):
    """What all conditions have."""

    condition: Literal[
        "angles", "widths", "architectures", "classes", "images", "modalities", "pruning"
    ] = "angles"
    """What networks are generated for: angles by which images are turned, widths of a layer,
    architectures, classes in an order, images that a generator is to reconstruct, modalities that
    encoders make of images, or pruning."""
    examples: Count = 32
    """Images of a draw, which has one condition; a step trains on `tasks_per_step` draws."""
    width: Count = 64
    """Size of the network's hidden layers, units; the largest where widths differ."""
    layers: Count = 1
    """Hidden layers of the network."""


@dataclass(frozen=True)
class Settings(
    PruningSettings,
    ModalitySettings,
    ImageSettings,
    ClassSettings,
    ArchitectureSettings,
    WidthSettings,
    AngleSettings,
    SharedSettings,
):
    """Classify images by networks whose weights are generated, one network for each condition."""


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
"""The smallest settings that all conditions have."""
