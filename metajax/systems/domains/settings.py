"""Settings of the problem of unseen domains and of its training, and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import ConfigError, Count, ProperFraction, Several, multiple_of
from metajax.learners import stage_lengths
from metajax.systems.image_sets import MNIST_5K, ImageSplits
from metajax.systems.training import Training as SharedTraining


@dataclass(frozen=True)
class Settings(ImageSplits):
    """Classify images of domains that were not trained on, after a look at some without labels."""

    num_domains: Several = 12
    """Source domains: turns of the images in equal steps. As many target domains lie between."""
    shots: Count = 24
    """Images without labels that a learner adapts to."""
    queries: Count = 40
    """Images with labels that a training task is scored on."""
    width: Count = 128
    """Size of the hidden layer of a network that adapts, units."""
    features: Count = 32
    """Features of every network, before its head."""
    eval_supports: Count = 4
    """Supports of each target domain that accuracy is a mean over."""


@dataclass(frozen=True)
class Training(SharedTraining):
    """How a method is trained; all methods have as many steps of the network that predicts."""

    steps: Count = 3500
    """Steps, of all stages together."""
    tasks_per_step: Count = 4
    """Tasks of a step, each of a random source domain."""
    eval_every: Count = 500
    """Steps between measurements on target domains."""


@dataclass(frozen=True)
class Teacher:
    """The experts, and the network that combines their features."""

    expert_share: ProperFraction = 0.2
    """Part of the steps in which experts are trained; they stay the same from then on."""
    aggregator_share: ProperFraction = 0.4
    """Part of the steps after that in which the aggregator is trained with its own head."""
    expert_width: Count = 64
    """Size of an expert's hidden layer, units."""
    aggregator_width: Annotated[Count, multiple_of("aggregator_heads")] = 32
    """Size of the aggregator's tokens, a multiple of its heads."""
    aggregator_layers: Count = 1
    """Layers of attention of the aggregator."""
    aggregator_heads: Count = 4
    """Heads of each of them."""
    named_experts: bool = False
    """Add a learned embedding of each expert to its features. The paper has none."""


def check(config: Any) -> None:
    """Raise where settings do not fit together.

    Raises:
      ConfigError: the stages leave no step to the last, or there are fewer steps than stages.
    """
    if not hasattr(config, "expert_share"):
        return
    stages = 3 if hasattr(config, "inner_lr") else 2
    if config.steps < stages:
        raise ConfigError("steps", config.steps, f"{stages} or more, one for each stage")
    first, *_, last = stage_steps(config, config.steps, stages)
    if first >= config.steps:
        expected = f"a part that leaves one of the {config.steps} steps to the aggregator"
        raise ConfigError("expert_share", config.expert_share, expected)
    if last < 1:
        expected = f"a part that leaves steps to adapting, after expert_share {config.expert_share}"
        raise ConfigError("aggregator_share", config.aggregator_share, expected)


def stage_steps(teacher: Teacher, steps: int, stages: int) -> tuple[int, ...]:
    """Return the steps of each stage; those but the last have one or more.

    Args:
      teacher: whose shares of the steps the stages before the last have.
      steps: of all stages.
      stages: 3, or 2 where the aggregator is trained last.
    """
    shares = (teacher.expert_share, teacher.aggregator_share)[: stages - 1]
    return stage_lengths(steps, shares)


_IMAGES: dict[str, Any] = {"image_size": 14}

PRESETS: dict[str, dict[str, Any]] = {
    "digits": {},
    "mnist_5k": _IMAGES | MNIST_5K,
    "fashion": _IMAGES | {"base_set": "fashion_mnist"},
}
"""digits: scikit-learn's digits, turned; a minute on a core. mnist_5k: the 5,000 images of
`metajax data prepare mnist_5k`. fashion: Fashion-MNIST at 14x14 pixels."""

TINY: dict[str, Any] = {
    "image_size": 4,
    "num_domains": 3,
    "shots": 4,
    "queries": 5,
    "width": 8,
    "features": 4,
    "eval_supports": 1,
    "tasks_per_step": 2,
    "expert_share": 0.25,
    "aggregator_share": 0.25,
    "expert_width": 6,
    "aggregator_width": 4,
    "aggregator_heads": 2,
    "context": 3,
    "encoder_width": 6,
}
"""The smallest settings that each method still does all of its work with."""
