"""Settings of the condition ``pruning``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import SOME, ConfigError, Count, Several, at_most, below
from metajax.systems.weights.settings import SharedSettings


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Networks that are pruned, and the sizes that they are pruned to."""

    networks: Count = 8
    """Networks that a metanetwork learns from, each trained from its own start."""
    zoo_steps: Annotated[Count, below("steps")] = 500
    """Steps that train the networks, before they are prepared; fewer than `steps`."""
    unseen_networks: Several = 4
    """Networks that are pruned and measured; a metanetwork does not learn from them."""
    kept_units: Annotated[tuple[Count, ...], SOME, at_most("width")] = (48, 36, 24, 16, 12, 8, 6)
    """Units of each hidden layer that are kept."""
    tune_steps: Count = 200
    """Steps of training after pruning."""


def check(config: Any) -> None:
    """Raise where a metanetwork has an odd number of channels.

    Raises:
      ConfigError: it has.
    """
    channels = getattr(config, "channels", 2)
    if channels % 2:
        raise ConfigError("channels", channels, "an even number")


_PRUNING: dict[str, Any] = {
    "method": "group_sparse",
    "width": 48,
    "layers": 2,
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
    "networks": 4,
    "zoo_steps": 2,
    "unseen_networks": 2,
    "kept_units": (4, 2),
    "tune_steps": 2,
    "channels": 2,
    "rounds": 1,
    "at_once": 2,
    "settle_steps": 2,
}
"""The smallest settings that each method still does all of its work with."""
