"""The settings of meta-training that every family shares, and the optimizer that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import optax

from metajax.core import (
    Algorithm,
    Count,
    MetaLearner,
    NonNegative,
    Number,
    Positive,
    Seed,
    below,
    gradient,
)
from metajax.learners import Stage, in_stages

MOMENTUM = 0.9
"""Of plain SGD as the meta-optimizer."""


@dataclass(frozen=True)
class Training:
    """How a method is meta-trained."""

    steps: Count = 10_000
    """Meta-steps."""
    tasks_per_step: Count = 25
    """Tasks of a meta-step."""
    learning_rate: Positive = 1e-3
    """Learning rate of meta-training; with a schedule, its largest."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimizer of meta-training; sgd has momentum .9."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Schedule of the learning rate after the warm-up; linear and cosine fall to `final_rate` at
    the last step."""
    final_rate: NonNegative = 0.0
    """Final learning rate of a schedule, as a fraction of the largest."""
    warmup_steps: Annotated[Number, below("steps")] = 0
    """Meta-steps over which the learning rate rises linearly from 0; fewer than steps."""
    adam_epsilon: Positive = 1e-8
    """Adam's epsilon: gradients far below it no longer move a weight by the whole rate."""
    weight_decay: NonNegative = 1e-4
    """Weight decay of adamw."""
    clip_norm: Positive | None = None
    """Norm that larger meta-gradients are scaled down to; None: no clipping."""
    seed: Seed = 0
    """Seed of the run: weights, tasks and order."""
    eval_every: Count = 1000
    """Meta-steps between measurements on new tasks."""

    def rate(self, updates: int | None = None) -> Any:
        """Return the learning rate, or its schedule over ``updates``, ``steps`` by default."""
        rate, total = self.learning_rate, self.steps if updates is None else updates
        warm = self.warmup_steps * total // self.steps
        fall = total - warm
        if self.schedule == "constant":
            return optax.linear_schedule(0.0, rate, warm) if warm else rate
        if self.schedule == "cosine":
            falling = optax.cosine_decay_schedule(rate, fall, alpha=self.final_rate)
        else:
            falling = optax.linear_schedule(rate, self.final_rate * rate, fall)
        if not warm:
            return falling
        return optax.join_schedules([optax.linear_schedule(0.0, rate, warm), falling], [warm])

    def make_optimizer(self, updates: int | None = None) -> optax.GradientTransformation:
        """Return the meta-optimizer.

        Args:
          updates: of the whole training, where that is not one for each meta-step.
        """
        rate = self.rate(updates)
        if self.optimizer == "sgd":
            rule = optax.sgd(rate, MOMENTUM)
        elif self.optimizer == "adamw":
            rule = optax.adamw(rate, weight_decay=self.weight_decay, eps=self.adam_epsilon)
        else:
            rule = optax.adam(rate, eps=self.adam_epsilon)
        if self.clip_norm is None:
            return rule
        return optax.chain(optax.clip_by_global_norm(self.clip_norm), rule)

    def descend(self, learner: MetaLearner, **options: Any) -> Algorithm:
        """Return the algorithm that moves a learner down its loss by these settings.

        Args:
          learner: any.
          options: more of :func:`metajax.core.gradient`.
        """
        return gradient(learner, self.make_optimizer(), **options)

    def descend_stages(self, stages: Sequence[Stage]) -> Algorithm:
        """Return the algorithm that moves one learner down its loss after another.

        Args:
          stages: in order; the schedule of the learning rate is over each stage's own steps.
        """
        return in_stages(stages, lambda stage: self.make_optimizer(stages[stage].steps))
