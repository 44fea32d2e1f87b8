"""Settings of the condition ``modalities``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import SOME, ConfigError, Count, Positive, Several, at_most
from metajax.systems.weights.settings import SharedSettings

DIGIT_SETS = ("digits", "mnist")
"""Sets whose classes are the digits in order."""


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Modalities of the same classes: what frozen encoders make of images."""

    modalities: Count = 24
    """Encoders that are trained on, of random weights."""
    features: Count = 32
    """Numbers of an embedding."""
    text_size: Count = 24
    """Numbers of the vector that stands for a class' text, drawn at random."""
    most_pairs: Count = 10
    """Pairs of each class in a support at most."""
    least_pairs: Annotated[Count, at_most("most_pairs")] = 1
    """Pairs of each class in a support of training at least."""
    eval_modalities: Several = 8
    """Unseen encoders that accuracy is measured on."""
    eval_pairs: Annotated[tuple[Count, ...], SOME, at_most("most_pairs")] = (1, 3, 10)
    """Pairs of each class that accuracy is measured with."""
    eval_supports: Count = 3
    """Supports of each modality that accuracy is measured with."""
    eval_queries: Count = 200
    """Test images that accuracy is measured on with each support."""
    glyphs: bool = False
    """Measure on printed digits too, seen by unseen encoders; for sets of digits."""
    pair_steps: Count = 50
    """Steps of Adam on a support, of a projector from scratch and of a tuned one."""
    pair_lr: Positive = 1e-2
    """Their learning rate."""


def check(config: Any) -> None:
    """Raise where glyphs of digits are asked for with a set of other classes.

    Raises:
      ConfigError: they are.
    """
    if config.glyphs and config.base_set not in DIGIT_SETS:
        expected = f"False: the classes of {config.base_set} are no digits"
        raise ConfigError("glyphs", config.glyphs, expected)


_MODALITIES: dict[str, Any] = {
    "method": "solved_adapter",
    "width": 64,
    "examples": 64,
    "tasks_per_step": 8,
    "learning_rate": 2e-3,
    "schedule": "cosine",
    "clip_norm": 1.0,
    "steps": 600,
    "eval_every": 200,
}

PRESETS: dict[str, dict[str, Any]] = {
    "modalities": _MODALITIES | {"glyphs": True},
    "fashion_modalities": _MODALITIES | {"base_set": "fashion_mnist", "image_size": 14},
}
"""modalities: scikit-learn's digits seen by random encoders; measured on unseen encoders, on
hand-made features, and on printed digits. fashion_modalities: Fashion-MNIST at 14 x 14 pixels."""

TINY: dict[str, Any] = {
    "modalities": 2,
    "features": 5,
    "text_size": 3,
    "most_pairs": 2,
    "least_pairs": 1,
    "eval_modalities": 2,
    "eval_pairs": (1, 2),
    "eval_supports": 1,
    "eval_queries": 4,
    "glyphs": False,
    "pair_steps": 1,
    "rank": 2,
    "attention_width": 4,
    "attention_heads": 2,
    "attention_layers": 1,
    "projector_share": 0.5,
}
"""The smallest settings that each method still does all of its work with."""
