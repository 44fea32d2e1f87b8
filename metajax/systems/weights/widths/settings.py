"""Settings of the condition ``widths``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import SOME, ConfigError, Count, Positive, ProperFraction, at_most
from metajax.learners import stage_lengths
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Widths of the middle hidden layer."""

    train_widths: Annotated[tuple[Count, ...], SOME, at_most("width")] = (16, 20, 24, 28, 32)
    """Widths of the middle hidden layer that are trained, units."""
    eval_widths: Annotated[tuple[Count, ...], SOME, at_most("width")] = (
        4,
        8,
        16,
        18,
        22,
        26,
        30,
        32,
    )
    """Widths that accuracy is measured at, units."""


@dataclass(frozen=True)
class Stages:
    """What comes before training at several widths."""

    full_share: ProperFraction = 0.2
    """Part of the steps in which the network is trained at its full width."""
    fit_share: ProperFraction = 0.2
    """Part of the steps in which the function is fitted to that network's weights."""
    fit_lr: Positive = 3e-3
    """Learning rate of this fit."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: no step is left for the last stage, or a width is measured that has no network
        of its own.
    """
    if hasattr(config, "fit_share"):
        *_, last = stage_lengths(config.steps, (config.full_share, config.fit_share))
        if last < 1:
            expected = f"a part that leaves one of the {config.steps} steps to training at widths"
            raise ConfigError("fit_share", config.fit_share, expected)
    alone = getattr(config, "alone_widths", None)
    if alone is not None and not set(config.eval_widths) <= set(alone):
        expected = f"all that are measured: {', '.join(map(str, config.eval_widths))}"
        raise ConfigError("alone_widths", alone, expected)


_WIDTHS: dict[str, Any] = {
    "method": "neumeta",
    "width": 32,
    "layers": 3,
    "clip_norm": 1.0,
}

PRESETS: dict[str, dict[str, Any]] = {
    "widths": _WIDTHS | {"steps": 1500, "eval_every": 500, "tasks_per_step": 4},
    "fashion_widths": _WIDTHS
    | {
        "base_set": "fashion_mnist",
        "image_size": 14,
        "steps": 3000,
        "eval_every": 500,
    },
}
"""widths: digits, and a hidden layer of 4 to 32 units. fashion_widths: the same with Fashion-MNIST
at 14 x 14 pixels."""

TINY: dict[str, Any] = {
    "train_widths": (2, 4),
    "eval_widths": (2, 3, 4),
    "function_width": 4,
    "depth": 1,
    "draws": 2,
    "alone_widths": (2, 3, 4),
    "full_share": 0.25,
    "fit_share": 0.25,
}
"""The smallest settings that each method still does all of its work with."""
