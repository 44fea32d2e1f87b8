"""Settings of the condition ``classes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import ConfigError, Count, Several, at_most, below
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Tuples of classes, and the zoo of networks for them."""

    ways: Count = 5
    """Classes of a task."""
    networks: Count = 300
    """Networks of the zoo, each trained on its own tuple of classes."""
    zoo_steps: Annotated[Count, below("steps")] = 400
    """Steps that train the zoo, before its weights are learned; fewer than `steps`."""
    shots: Count = 30
    """Images of each class that a network is generated from."""
    embedding_size: Annotated[Count, at_most("image_size")] = 4
    """Height and width of the class means that describe a task, pixels."""
    eval_tasks: Several = 60
    """Unseen tuples of classes that accuracy is measured on."""
    eval_images: Count = 100
    """Test images of each of them."""


def check(config: Any) -> None:
    """Raise where settings of a denoiser do not fit together.

    Raises:
      ConfigError: it has as many components as there are networks, or no step is left to it.
    """
    if not hasattr(config, "latents"):
        return
    coded, share = config.latents == "autoencoder", getattr(config, "align_share", 0)
    if not coded and config.components >= config.networks:
        expected = f"fewer than networks: at most {config.networks - 1}"
        raise ConfigError("components", config.components, expected)
    if coded and share + config.coder_share >= 1:
        raise ConfigError("align_share", share, "a sum with coder_share below 1")


_CLASSES: dict[str, Any] = {
    "method": "weight_diffusion",
    "width": 16,
    "tasks_per_step": 1,
    "learning_rate": 2e-3,
    "steps": 1600,
    "eval_every": 400,
}

PRESETS: dict[str, dict[str, Any]] = {
    "classes": _CLASSES,
    "fashion_classes": _CLASSES
    | {"base_set": "fashion_mnist", "image_size": 14, "embedding_size": 5},
}
"""classes: digits, 300 networks for tuples of 5 classes, and a model of their weights.
fashion_classes: the same with Fashion-MNIST at 14 x 14 pixels."""

TINY: dict[str, Any] = {
    "ways": 2,
    "networks": 4,
    "zoo_steps": 2,
    "shots": 2,
    "embedding_size": 2,
    "eval_tasks": 3,
    "eval_images": 4,
    "components": 2,
    "denoiser_hidden": (4,),
    "noise_levels": 3,
    "moves": 2,
    "coder_hidden": 3,
    "align_share": 0.25,
    "batch": 2,
    "attention_width": 4,
}
"""The smallest settings that each method still does all of its work with."""
