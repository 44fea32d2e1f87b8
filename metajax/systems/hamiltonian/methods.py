"""The methods of learning to adapt a motion: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

from typing import Annotated

import optax

from metajax import learners
from metajax.core import ConfigError, Range
from metajax.systems.base import Entry, Method
from metajax.systems.hamiltonian.linear_energy import LinearEnergy, Ridge, Span
from metajax.systems.hamiltonian.network import architecture_of
from metajax.systems.hamiltonian.problem import Problem
from metajax.systems.hamiltonian.residuals import (
    LOSSES,
    residual_mean,
    scored_on_all,
    scored_on_query,
)
from metajax.systems.hamiltonian.rules import OwnRates, Rule, head_alone
from metajax.systems.hamiltonian.settings import Inner
from metajax.systems.setup import descended
from metajax.systems.training import Training

INNER = Inner()


def adapting(
    problem: Problem, training: Training, how: Inner, rule: Rule, used: Rule | None = None
) -> Method:
    """Return the method that learns to adapt by a rule, and moves down its loss on the query.

    Args:
      problem: whose network adapts.
      training: its settings.
      how: the inner steps.
      rule: by which it adapts in training.
      used: by which it adapts to new systems; None: by the same.
    """
    loss, sgd = LOSSES[how.reduction], optax.sgd(how.inner_lr)
    learner = scored_on_query(rule(problem.network(), loss, sgd, steps=how.inner_steps, unroll=1))
    return Method(descended(learner, problem, training), learner, parts=used or rule)


def maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """Learn the start of a few gradient steps (MAML; Finn et al. 2017, arXiv 1703.03400)."""
    return adapting(problem, training, inner, learners.maml)


def first_order_maml(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML without second derivatives (Finn et al. 2017, arXiv 1703.03400, section 5.2)."""
    return adapting(problem, training, inner, learners.first_order_maml, learners.maml)


def anil(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML that adapts the layers behind the messages (ANIL; Raghu 2020, arXiv 1909.09157)."""
    return adapting(problem, training, inner, head_alone)


def meta_sgd(problem: Problem, training: Training, *, inner: Inner = INNER) -> Method:
    """MAML with a learned rate for every weight (Meta-SGD; Li et al. 2017, arXiv 1707.09835)."""
    used = OwnRates(LOSSES[inner.reduction], inner.inner_lr)
    return adapting(problem, training, inner, learners.meta_sgd, used)


def joint(problem: Problem, training: Training) -> Method:
    """Train on all points without adapting, the pre-trained baseline (arXiv 2212.01168).

    It adapts to new systems as MAML does, by the settings of the evaluation.
    """
    of, network = problem.settings, problem.network()
    optimizer = problem.optimizer(of.eval_lr)
    adapted = learners.maml(network, residual_mean, optimizer, steps=of.eval_steps, unroll=1)
    learner = scored_on_all(adapted, network)
    return Method(descended(learner, problem, training), learner, parts=learners.maml)


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
    return Method(descended(learner, problem, training), learner, parts=how)


METHODS: dict[str, Entry] = {
    "maml": maml,
    "first_order_maml": first_order_maml,
    "anil": anil,
    "meta_sgd": meta_sgd,
    "joint": joint,
    "linear_energy": linear_energy,
}
"""All methods by name, the default first. A new one joins by a line here."""
