"""Rules of adapting: in training, and to new systems, where the evaluation says how.

Evaluations by equal rules are one compiled program.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optax

from metajax import learners
from metajax.core import MetaLearner, Network
from metajax.learners.losses import Loss

Rule = Callable[..., MetaLearner]
"""``rule(network, loss, optimizer, **options) -> learner``, one with a ``follow``."""
ADAPTED_BY_ANIL = ("readout", "head")
"""The parts of the graph network behind its messages."""

head_alone = functools.partial(learners.anil, inner=ADAPTED_BY_ANIL)
"""The rule that adapts no more than what is behind the messages."""


@dataclass(frozen=True)
class OwnRates:
    """The rule that adapts to new systems at learned rates, whatever it is asked for.

    Attributes:
      loss: what it adapts by.
      rate: what the learned rates are factors of.
    """

    loss: Loss
    rate: float

    def __call__(self, network: Network, loss: Loss, optimizer: Any, **options: Any) -> MetaLearner:
        return learners.meta_sgd(network, self.loss, optax.sgd(self.rate), **options)
