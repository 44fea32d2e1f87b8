"""Settings of the condition ``images``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import SOME, Count, Positive, Several, below
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """A frozen generator of images, whose weights are edited for each image."""

    known_classes: Count = 8
    """Classes that everything is trained on, the first ones; images of the others are measured
    as unseen."""
    latent_size: Count = 8
    """Numbers that the generator encodes an image as."""
    generator_channels: Count = 16
    """Channels of the generator's convolutions."""
    pixel_noise: Positive = 0.1
    """Standard deviation of a pixel in the generator's loss, levels from 0 to 1."""
    generator_steps: Annotated[Count, below("steps")] = 400
    """Steps that train the generator, before it is frozen; fewer than `steps`."""
    eval_passes: Count = 5
    """Passes that edits are measured up to."""
    image_steps: Annotated[tuple[Count, ...], SOME] = (1, 3, 10, 50)
    """Steps of tuning on a single image after which it is measured."""
    weight_rates: Annotated[tuple[Positive, ...], SOME] = (1e-3, 2e-3, 4e-3)
    """Learning rates of tuning weights; each number of steps takes the best one of them on
    training images."""
    latent_rates: Annotated[tuple[Positive, ...], SOME] = (0.03, 0.1, 0.3)
    """The same for tuning latents."""
    edit_images: Several = 64
    """Images of known classes and images of unseen ones that are measured, at most."""


_IMAGES: dict[str, Any] = {
    "method": "weight_edits",
    "tasks_per_step": 1,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "generator_steps": 3000,
    "steps": 4500,
    "eval_every": 500,
}

PRESETS: dict[str, dict[str, Any]] = {
    "images": _IMAGES,
    "fashion_images": _IMAGES
    | {"base_set": "fashion_mnist", "image_size": 14, "latent_size": 16, "eval_every": 1500},
}
"""images: digits 0 to 7, with 8 and 9 unseen: a generator, then edits of its weights for an image.
fashion_images: the same with Fashion-MNIST at 14 x 14 pixels."""

TINY: dict[str, Any] = {
    "known_classes": 2,
    "latent_size": 2,
    "generator_channels": 2,
    "generator_steps": 2,
    "eval_passes": 2,
    "image_steps": (1, 2),
    "weight_rates": (1e-3,),
    "latent_rates": (0.1,),
    "edit_images": 2,
    "passes": 2,
    "editor_channels": 2,
    "editor_width": 3,
}
"""The smallest settings that each method still does all of its work with."""
