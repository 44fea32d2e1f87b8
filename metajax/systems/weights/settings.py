"""Settings of the problem of generated weights and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from metajax.core import ConfigError, Count, Positive, ProperFraction, Range, Several
from metajax.systems.image_sets import ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Classify images by networks whose weights are generated, one network for each condition."""

    condition: Literal["angles", "widths", "architectures", "classes"] = "angles"
    """What networks are generated for: angles by which images are turned, widths of a layer,
    architectures, or classes in an order."""
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
    train_architectures: Count = 128
    """Architectures that are trained on, drawn at random, the same for all runs: 1 to `layers`
    hidden layers of `least_width` to `width` units, ReLU or tanh (architectures)."""
    least_width: Count = 16
    """Smallest hidden layer, units (architectures)."""
    widest: Count = 96
    """Largest hidden layer of the wider architectures that are measured, units (architectures)."""
    eval_architectures: Several = 8
    """Unseen architectures of each kind that are measured: in range, wider, with one hidden layer
    more (architectures)."""
    start_steps: tuple[Count, ...] = (10, 25, 50, 100, 200)
    """Steps of training from a start after which accuracy is measured (architectures)."""
    start_lr: Positive = 1e-3
    """Learning rate of Adam in these steps (architectures)."""
    ways: Count = 5
    """Classes of a task (classes)."""
    networks: Count = 300
    """Networks of the zoo, each trained on its own tuple of classes (classes)."""
    zoo_steps: Count = 400
    """Steps that train the zoo, before its weights are learned; fewer than `steps` (classes)."""
    shots: Count = 30
    """Images of each class that a network is generated from (classes)."""
    embedding_size: Count = 4
    """Height and width of the class means that describe a task, pixels (classes)."""
    eval_tasks: Several = 60
    """Unseen tuples of classes that accuracy is measured on (classes)."""
    eval_images: Count = 100
    """Test images of each of them (classes)."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a method is trained."""

    steps: Count = 600
    """Steps."""
    tasks_per_step: Count = 8
    """Conditions of a step, each with images of its own."""
    eval_every: Count = 100
    """Steps between measurements on test images."""


@dataclass(frozen=True)
class Stages:
    """What comes before training at several widths."""

    full_share: ProperFraction = 0.2
    """Part of the steps in which the network is trained at its full width."""
    fit_share: ProperFraction = 0.4
    """Part of the steps in which the function is fitted to that network's weights."""


def stage_steps(stages: Any, steps: int) -> tuple[int, int, int]:
    """Return the steps of each stage, one or more of the first two."""
    first, second = (max(round(x * steps), 1) for x in (stages.full_share, stages.fit_share))
    return first, second, steps - first - second


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: no width, or one above the largest; no step is left for the last stage; as many
        components as networks; or sizes of architectures or embeddings that are not in order.
    """
    if hasattr(config, "fit_share") and stage_steps(config, config.steps)[-1] < 1:
        expected = f"a part that leaves one of the {config.steps} steps to training at widths"
        raise ConfigError("fit_share", config.fit_share, expected)
    if config.condition == "architectures":
        _check_architectures(config)
    if config.condition == "classes":
        _check_classes(config)
    if config.condition != "widths":
        return
    for field in ("train_widths", "eval_widths"):
        widths = getattr(config, field)
        if not widths or max(widths) > config.width:
            expected = f"one width or more, each at most width = {config.width}"
            raise ConfigError(field, widths, expected)


def _check_architectures(config: Any) -> None:
    """Raise where sizes of architectures are not in order.

    Raises:
      ConfigError: the smallest width is above the largest, this one is not below the widest, or
        there are no steps from the start.
    """
    if config.least_width > config.width:
        expected = f"at most width = {config.width}"
        raise ConfigError("least_width", config.least_width, expected)
    if config.widest <= config.width:
        raise ConfigError("widest", config.widest, f"above width = {config.width}")
    if not config.start_steps:
        raise ConfigError("start_steps", config.start_steps, "one number of steps or more")


def _check_classes(config: Any) -> None:
    """The same for networks of classes."""
    most = {
        "zoo_steps": (config.steps - 1, "fewer than steps"),
        "embedding_size": (config.image_size, "at most image_size"),
        "components": (config.networks - 1, "fewer than networks"),
    }
    for field, (limit, why) in most.items():
        value = getattr(config, field, None)
        if value is not None and value > limit:
            raise ConfigError(field, value, f"{why}: at most {limit}")


_CLASSES: dict[str, Any] = {
    "method": "weight_diffusion",
    "condition": "classes",
    "width": 16,
    "tasks_per_step": 1,
    "learning_rate": 2e-3,
    "steps": 1600,
    "eval_every": 400,
}

_WIDTHS: dict[str, Any] = {
    "method": "neumeta",
    "condition": "widths",
    "width": 32,
    "layers": 3,
}

_ARCHITECTURES: dict[str, Any] = {
    "method": "graph_hypernetwork",
    "condition": "architectures",
    "layers": 3,
    "examples": 64,
    "tasks_per_step": 4,
    "steps": 1500,
    "eval_every": 250,
    "clip_norm": 1.0,
    "schedule": "cosine",
}

PRESETS: dict[str, dict[str, Any]] = {
    "angles": {},
    "widths": _WIDTHS | {"steps": 1500, "eval_every": 500, "tasks_per_step": 4},
    "architectures": _ARCHITECTURES,
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
    "fashion_architectures": _ARCHITECTURES
    | {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
    "classes": _CLASSES,
    "fashion_classes": _CLASSES
    | {"base_set": "fashion_mnist", "image_size": 14, "embedding_size": 5},
}
"""angles: scikit-learn's digits, turned by up to 60 degrees, seconds on a core. widths: digits, and
a hidden layer of 4 to 32 units. architectures: digits, and multi-layer perceptrons of 1 to 3 hidden
layers of 16 to 64 units. classes: digits, 300 networks for tuples of 5 classes, and a model of
their weights. fashion_angles and so on: the same with Fashion-MNIST at 14 x 14 pixels."""

USUAL_PRESETS = dict.fromkeys(("neumeta", "slimmable", "first_units", "largest_norm"), "widths")
USUAL_PRESETS |= dict.fromkeys(("graph_hypernetwork", "shared_table"), "architectures")
USUAL_PRESETS |= dict.fromkeys(
    ("weight_diffusion", "set_diffusion", "weight_regression", "nearest_network", "zoo_mean"),
    "classes",
)
"""Presets of methods that do not fit the first one."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "examples": 4,
    "width": 4,
    "tasks_per_step": 2,
    "train_widths": (2, 4),
    "eval_widths": (2, 3, 4),
    "eval_angles": 3,
    "function_width": 4,
    "depth": 1,
    "full_share": 0.25,
    "fit_share": 0.25,
    "train_architectures": 3,
    "least_width": 2,
    "widest": 6,
    "eval_architectures": 2,
    "start_steps": (1, 2),
    "rank": 2,
    "state": 4,
    "rounds": 1,
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
    "batch": 2,
    "attention_width": 2,
}
"""The smallest settings that each method still does all of its work with."""
