"""Settings of the continual-learning problem and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from metajax.core import TRACED, ConfigError, Count, Range, Several
from metajax.systems.image_sets import MNIST_5K, ImageSplits
from metajax.systems.training import Training as SharedTraining

Strength = Annotated[float, Range(0), TRACED]
"""Of what holds earlier tasks in place, 0 or more."""


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Learn tasks in sequence, and be tested on all of them."""

    tasks: Literal["permuted", "split", "rotated"] = "permuted"
    """How tasks differ: by the order of pixels, by their classes, or by how images are turned."""
    num_tasks: Several = 5
    """Tasks of the sequence; with split, the most of them."""
    classes_per_task: Several = 2
    """Classes of a task (split)."""
    most_turn: Annotated[float, Range(above=0, high=360)] = 180.0
    """How far the images of the last task are turned, degrees (rotated)."""
    examples: Count = 32
    """Examples of a draw; a step trains on `tasks_per_step` draws."""
    review: Count = 16
    """Further examples of each draw of a task's last step, for the review of the task."""
    width: Count = 64
    """Size of the network's hidden layers, units."""
    layers: Count = 2
    """The network's hidden layers."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How training proceeds: all steps are divided equally among the tasks."""

    steps: Count = 2500
    """Steps on all tasks together."""
    tasks_per_step: Count = 4
    """Draws of a step, all of the present task."""
    eval_every: Count = 250
    """Steps between measurements on all tasks."""


@dataclass(frozen=True)
class Sizes:
    """How large a hypernetwork is."""

    embedding: Count = 24
    """Numbers of a task's embedding."""
    chunk_size: Count = 400
    """Numbers of the network that the hypernetwork makes at a time."""
    chunk_embedding: Count = 8
    """Numbers of a chunk's embedding."""
    hidden: Count = 24
    """Size of the hypernetwork's two hidden layers, units. An LSTM has the largest state with which
    it has no more parameters than with these layers."""


@dataclass(frozen=True)
class Generated(Sizes):
    """How a hypernetwork makes a network for each task."""

    strength: Strength = 0.1
    """Factor of the change of earlier networks, summed over their numbers."""
    look_ahead: bool = False
    """Compute the penalty at the parameters after a step on the present task alone."""
    store_targets: bool = False
    """Keep earlier networks themselves, rather than generate them again."""
    weigh: bool = False
    """Weigh the change of every number by its Fisher information on its own task."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: the tasks of the sequence do not divide ``steps``.
    """
    if config.tasks != "split" and config.steps % config.num_tasks:
        below = config.steps // config.num_tasks * config.num_tasks
        expected = f"a multiple of num_tasks = {config.num_tasks}, e.g. {below or config.num_tasks}"
        raise ConfigError("steps", config.steps, expected)


_IMAGES: dict[str, Any] = {"image_size": 14, "width": 100, "chunk_size": 700}
_MNIST: dict[str, Any] = _IMAGES | MNIST_5K
_FASHION: dict[str, Any] = _IMAGES | {"base_set": "fashion_mnist"}

PRESETS: dict[str, dict[str, Any]] = {
    "permuted_digits": {},
    "split_digits": {"tasks": "split"},
    "rotated_digits": {"tasks": "rotated"},
    "permuted_mnist": _MNIST | {"num_tasks": 8, "steps": 4000},
    "split_mnist": _MNIST | {"tasks": "split"},
    "rotated_mnist": _MNIST | {"tasks": "rotated"},
    "split_fashion": _FASHION | {"tasks": "split"},
    "permuted_fashion": _FASHION | {"num_tasks": 20, "steps": 10_000},
    "permuted_paper": {
        "base_set": "mnist",
        "image_size": 32,
        "num_tasks": 10,
        "steps": 50_000,
        "width": 1000,
        "learning_rate": 1e-4,
        "chunk_size": 78_000,
        "hidden": 25,
    },
    "split_paper": {
        "tasks": "split",
        "base_set": "mnist",
        "image_size": 28,
        "steps": 10_000,
        "width": 400,
        "embedding": 96,
        "chunk_embedding": 96,
        "chunk_size": 42_000,
        "hidden": 10,
        "strength": 0.01,
    },
}
"""permuted_digits, split_digits, rotated_digits: scikit-learn's digits, a minute on a core.
permuted_mnist, split_mnist, rotated_mnist: the 5,000 images of `metajax data prepare mnist_5k`, of
which 1,000 are held out. split_fashion, permuted_fashion: all of Fashion-MNIST, the latter in
twenty tasks. permuted_paper, split_paper: sizes of arXiv 1906.00695, with the full MNIST, for a
GPU."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "num_tasks": 2,
    "examples": 8,
    "review": 4,
    "width": 8,
    "layers": 1,
    "tasks_per_step": 2,
    "embedding": 4,
    "chunk_size": 50,
    "chunk_embedding": 3,
    "hidden": 6,
    "box_hidden": 6,
}
"""The smallest settings that each method still does all of its work with."""
