"""Settings of missions and of the embedding's training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from metajax.continual import check_missions
from metajax.core import TRACED, ConfigError, Count, Number, Range, Several
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings:
    """Learn classes that come in missions of several clients, by a fixed embedding."""

    base_set: str = "digits"
    """Set of images; see `metajax data list`."""
    split: str = "train+test"
    """TFDS split that images come from. Base classes and those of the missions differ in classes,
    not in images."""
    image_size: Count = 8
    """Height and width that images are resized to, pixels."""
    image_channels: Literal[1, 3] = 1
    """Color channels that images are converted to: 1 (gray) or 3 (RGB)."""
    rotations: bool = True
    """Add each class turned by 90, 180 and 270 degrees as classes of their own."""
    classes: tuple[Count, Count] = (5, 5)
    """Base classes, which the embedding is trained on, and classes of the missions, both of the set
    (before rotations)."""
    held_out: Count = 20
    """Images of each class that accuracy is measured on; they are in no episode or mission."""
    layers: Count = 2
    """Convolution blocks of the embedding."""
    channels: Count = 32
    """Filters of a convolution."""
    ways: Several = 10
    """Classes of an episode of the embedding's training."""
    shots: Count = 5
    """Examples of a class that an episode learns from."""
    queries: Count = 5
    """Examples of a class that an episode is scored on."""
    base_ways: Several = 4
    """Base classes that the server knows before the first mission."""
    missions: Count = 5
    """Missions of each client, one after the other."""
    clients: Count = 5
    """Clients, each with a mission at the same time."""
    new_classes: Count = 4
    """Classes that come with each round of missions, for all clients together."""
    new_ways: Count = 2
    """Of these classes, how many a client sees."""
    old_ways: Number = 1
    """Classes of earlier missions, of any client, that a client sees again."""
    mission_shots: Count = 30
    """Examples of a class in a mission, at most; of a smaller class, all."""
    class_images: Count = 100
    """Images of a class that missions draw from, at most."""
    head_steps: Count = 500
    """Steps of the softmax heads for each round of missions."""
    head_lr: Annotated[float, Range(above=0), TRACED] = 0.02
    """Learning rate of the softmax heads: SGD with momentum .9, 64 examples a step."""
    eval_draws: Several = 20
    """Draws of all missions that every evaluated figure is a mean over."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How the embedding is trained."""

    steps: Count = 500
    """Steps of training the embedding."""
    tasks_per_step: Count = 2
    """Episodes of a step."""
    eval_every: Count = 100
    """Steps between measurements on missions."""


EVALUATION = (
    "base_ways",
    "missions",
    "clients",
    "new_classes",
    "new_ways",
    "old_ways",
    "mission_shots",
    "class_images",
    "head_steps",
    "head_lr",
)
"""Further settings that the embedding's training does not depend on."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: they do not, by the name of one of them.
    """
    turned = 4 if config.rotations else 1
    base, field = (turned * number for number in config.classes)
    for name in ("ways", "base_ways"):
        if getattr(config, name) > base:
            expected = f"at most {base}, the base classes of classes = {config.classes}"
            raise ConfigError(name, getattr(config, name), expected)
    check_missions(
        field,
        rounds=config.missions,
        clients=config.clients,
        new_classes=config.new_classes,
        new_ways=config.new_ways,
        old_ways=config.old_ways,
    )
    # the last convolution is normalized over its pixels, and one pixel would become nothing
    most = config.image_size.bit_length() - 1
    if config.layers > most:
        expected = f"at most {most}: each halves the {config.image_size} pixels of a side"
        raise ConfigError("layers", config.layers, expected)


_OMNIGLOT: dict[str, Any] = {
    "image_size": 28,
    "rotations": False,
    "held_out": 5,
    "layers": 4,
    "ways": 20,
    "base_ways": 10,
    "new_classes": 10,
    "new_ways": 4,
    "old_ways": 2,
    "tasks_per_step": 1,
}

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "fashion": {"base_set": "fashion_mnist", "image_size": 14},
    "omniglot_small": _OMNIGLOT
    | {
        "base_set": "omniglot_small",
        "split": "train",
        "classes": (172, 70),
        "channels": 24,
        "missions": 7,
        "steps": 400,
        "eval_every": 100,
    },
    "omniglot": _OMNIGLOT
    | {
        "base_set": "omniglot",
        "classes": (1000, 600),
        "channels": 64,
        "missions": 60,
        "steps": 20_000,
        "eval_every": 2000,
    },
}
"""digits: scikit-learn's digits in four rotations, half of them for the embedding, a minute on a
core. fashion: the same of Fashion-MNIST. omniglot_small: the two small sets of Omniglot, where they
were prepared from files. omniglot: 600 classes as in arXiv 2109.00150, with the full set, for a
GPU."""

TINY: dict[str, Any] = {
    "held_out": 4,
    "layers": 1,
    "channels": 4,
    "ways": 3,
    "shots": 2,
    "queries": 2,
    "base_ways": 2,
    "missions": 2,
    "clients": 2,
    "new_classes": 2,
    "new_ways": 1,
    "old_ways": 1,
    "mission_shots": 3,
    "class_images": 6,
    "head_steps": 5,
    "eval_draws": 3,
    "tasks_per_step": 2,
}
"""The smallest settings that each method still does all of its work with."""
