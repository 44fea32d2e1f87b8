"""Settings of the condition ``classes``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metajax.core import ConfigError, Count, Several


@dataclass(frozen=True)
class ClassSettings:
    """Tuples of classes, and the zoo of networks for them."""

    ways: Count = 5
    """Classes of a task (classes)."""
    networks: Count = 300
    """Networks of the zoo, each trained on its own tuple of classes (classes), or on all classes
    from its own start (pruning)."""
    zoo_steps: Count = 400
    """Steps that train the zoo, before its weights are learned or prepared; fewer than `steps`
    (classes, pruning)."""
    shots: Count = 30
    """Images of each class that a network is generated from (classes)."""
    embedding_size: Count = 4
    """Height and width of the class means that describe a task, pixels (classes)."""
    eval_tasks: Several = 60
    """Unseen tuples of classes that accuracy is measured on (classes)."""
    eval_images: Count = 100
    """Test images of each of them (classes)."""


def check_classes(config: Any) -> None:
    """Raise where sizes of the zoo or of embeddings are not in order.

    Raises:
      ConfigError: the zoo takes all steps, has as many components as networks, the embedding is
        larger than the images, more levels are guided than there are, or no step is left to the
        denoiser.
    """
    most = {
        "zoo_steps": (config.steps - 1, "fewer than steps"),
        "embedding_size": (config.image_size, "at most image_size"),
    }
    coded = getattr(config, "latents", None) == "autoencoder"
    if not coded:
        most["components"] = (config.networks - 1, "fewer than networks")
    if hasattr(config, "noise_levels"):
        most["guided_levels"] = (config.noise_levels, "at most noise_levels")
    for field, (limit, why) in most.items():
        value = getattr(config, field, None)
        if value is not None and value > limit:
            raise ConfigError(field, value, f"{why}: at most {limit}")
    share = getattr(config, "align_share", 0)
    if coded and share + config.coder_share >= 1:
        raise ConfigError("align_share", share, "a sum with coder_share below 1")


_CLASSES: dict[str, Any] = {
    "method": "weight_diffusion",
    "condition": "classes",
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
    "guided_levels": 2,
    "coder_hidden": 3,
    "align_share": 0.25,
    "batch": 2,
    "attention_width": 4,
}
"""The smallest settings that each method still does all of its work with."""
