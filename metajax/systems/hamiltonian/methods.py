"""The methods of learning to adapt a motion: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import optax

from metajax import learners
from metajax.core import ConfigError, MetaLearner, Network, Range, mixed
from metajax.learners.losses import Loss
from metajax.systems.base import Entry, Method
from metajax.systems.hamiltonian.linear_energy import LinearEnergy, Ridge, Span
from metajax.systems.hamiltonian.network import architecture_of
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.residuals import (
    residual_mean,
    residual_sum,
    scored_on_all,
    scored_on_query,
)
from metajax.systems.hamiltonian.settings import Inner
from metajax.systems.training import Training

INNER = Inner()
LOSSES: dict[str, Loss] = {"sum": residual_sum, "mean": residual_mean}
ADAPTED_BY_ANIL = ("readout", "head")
"""The parts of the graph network behind its messages."""


Rule = Callable[..., MetaLearner]
"""``rule(network, loss, optimizer, **options) -> learner``, one with a ``follow``."""

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


def adapting(problem: Problem, rule: Rule, how: Inner) -> MetaLearner:
    """Return the learner by a rule, as it adapts in training."""
    loss, sgd = LOSSES[how.reduction], optax.sgd(how.inner_lr)
    return rule(problem.network(), loss, sgd, steps=how.inner_steps, unroll=1)


def descended(training: Training, learner: MetaLearner, rule: Rule) -> Method:
    """Return the method that moves a learner down its loss on the query.

    Args:
      training: its settings.
      learner: that adapts as it does in training.
      rule: by which it adapts to new systems; the evaluation gives it a loss and an optimizer.
        Evaluations by equal rules are one compiled program.
    """
    learner = scored_on_query(learner)
    return Method(training.descend(mixed(learner)), learner, parts=rule)


def maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """Learn the start of a few gradient steps (MAML; Finn et al. 2017, arXiv 1703.03400)."""
    return descended(training, adapting(problem, learners.maml, inner), learners.maml)


def first_order_maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML without second derivatives (Finn et al. 2017, arXiv 1703.03400, section 5.2)."""
    learner = adapting(problem, learners.first_order_maml, inner)
    return descended(training, learner, learners.maml)


def anil(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML that adapts the layers behind the messages (ANIL; Raghu 2020, arXiv 1909.09157)."""
    return descended(training, adapting(problem, head_alone, inner), head_alone)


def meta_sgd(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML with a learned rate for every weight (Meta-SGD; Li et al. 2017, arXiv 1707.09835)."""
    rule = OwnRates(LOSSES[inner.reduction], inner.inner_lr)
    return descended(training, adapting(problem, learners.meta_sgd, inner), rule)


def joint(problem: Problem, training: Training) -> Method:
    """Train on all points without adapting, the pre-trained baseline (arXiv 2212.01168).

    It adapts to new systems as MAML does, by the settings of the evaluation.
    """
    of, network = problem.settings, problem.network()
    optimizer = problem.optimizer(of.eval_lr)
    learner = learners.maml(network, residual_mean, optimizer, steps=of.eval_steps, unroll=1)
    learner = scored_on_all(learner, network)
    return Method(training.descend(mixed(learner)), learner, parts=learners.maml)


def linear_energy(
    problem: Problem,
    training: Training,
    *,
    features: Annotated[int, Range(1, 1000)] = 48,
    monomials: Annotated[int, Range(0, 8)] = 0,
    ridge: Ridge = "chosen",
    ridge_exponent: Annotated[float, Range(0, 30)] = 14.0,
) -> Method:
    """Solve the energy's head, meta-learn its features (R2-D2; 2019, arXiv 1805.08136).

    The energy is a linear combination of features of the graph network, so its motion is linear in
    the head too (structure ``port``: and in the damping; ``driven``: and in the force). Training
    descends the logarithm of the query's relative squared error through the solve.

    Args:
      features: Outputs of the network that the head combines.
      monomials: Largest degree of monomials of the coordinates that the head combines with them, 0
        for none; lower where there would be more than 500.
      ridge: fixed: the same in training and on new systems; learned: with the features; chosen:
        fixed in training, and on each new system the one of the least generalized
        cross-validation of its support.
      ridge_exponent: The ridge is e to minus this, relative to the sum of squares of each column;
        a learned one starts there. Float32 in training takes no more than about 14.

    Raises:
      ConfigError: the structure is ``direct``: there is no energy.
    """
    architecture = architecture_of(problem.settings)
    if architecture.structure == "direct":
        raise ConfigError("method", "linear_energy", "a structure that has an energy, not direct")
    how = LinearEnergy(Span(architecture, features, monomials), ridge, -ridge_exponent)
    learner = how.learner()
    return Method(training.descend(mixed(learner)), learner, parts=how)


METHODS: dict[str, Entry] = {
    "maml": maml,
    "first_order_maml": first_order_maml,
    "anil": anil,
    "meta_sgd": meta_sgd,
    "joint": joint,
    "linear_energy": linear_energy,
}
"""All methods by name, the default first. A new one joins by a line here."""
