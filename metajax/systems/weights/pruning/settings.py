"""Settings of the condition ``pruning``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metajax.core import ConfigError, Count, Several


@dataclass(frozen=True)
class PruningSettings:
    """Networks that are pruned, and the sizes that they are pruned to."""

    unseen_networks: Several = 4
    """Networks that are pruned and measured; a metanetwork does not learn from them (pruning)."""
    kept_units: tuple[Count, ...] = (48, 36, 24, 16, 12, 8, 6)
    """Units of each hidden layer that are kept (pruning)."""
    tune_steps: Count = 200
    """Steps of training after pruning (pruning)."""


def check_pruning(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: the zoo takes all steps, more units are kept than there are, none is, or a
        metanetwork has an odd number of channels.
    """
    if config.zoo_steps >= config.steps:
        expected = f"fewer than steps: at most {config.steps - 1}"
        raise ConfigError("zoo_steps", config.zoo_steps, expected)
    if not config.kept_units or max(config.kept_units) > config.width:
        expected = f"one number or more, each at most width = {config.width}"
        raise ConfigError("kept_units", config.kept_units, expected)
    channels = getattr(config, "channels", 2)
    if channels % 2:
        raise ConfigError("channels", channels, "an even number")


_PRUNING: dict[str, Any] = {
    "method": "group_sparse",
    "condition": "pruning",
    "width": 48,
    "layers": 2,
    "networks": 8,
    "zoo_steps": 500,
    "tasks_per_step": 1,
    "learning_rate": 2e-3,
    "steps": 1500,
    "eval_every": 500,
}

PRESETS: dict[str, dict[str, Any]] = {
    "pruning": _PRUNING,
    "metapruning": _PRUNING | {"method": "metanetwork", "steps": 3500},
    "fashion_pruning": _PRUNING | {"base_set": "fashion_mnist", "image_size": 14},
}
"""pruning: digits, networks with two hidden layers of 48 units, pruned to 6 of each. metapruning:
the same with 3,000 steps for a metanetwork. fashion_pruning: Fashion-MNIST at 14 x 14 pixels."""

TINY: dict[str, Any] = {
    "unseen_networks": 2,
    "kept_units": (4, 2),
    "tune_steps": 2,
    "channels": 2,
    "rounds": 1,
    "at_once": 2,
    "settle_steps": 2,
}
"""The smallest settings that each method still does all of its work with."""
