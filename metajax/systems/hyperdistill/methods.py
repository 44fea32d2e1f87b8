"""The methods of online hyperparameter learning: an entry for each, in the registry ``METHODS``."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

from metajax import bilevel
from metajax.bilevel import Hypergradient
from metajax.core import Algorithm, Count, Decay, divisor_of
from metajax.systems.base import Entry, Method
from metajax.systems.hyperdistill.evaluate import scores_by_step, steps_between_scores
from metajax.systems.hyperdistill.problem import Problem
from metajax.systems.hyperdistill.settings import Perturbations, Updates
from metajax.systems.hyperdistill.testbed import make_testbed
from metajax.systems.training import Training

UPDATES = Updates()
PERTURBATIONS = Perturbations()


def tuned(problem: Problem, rule: Callable[..., Algorithm], **options: Any) -> Method:
    """Return the method that tunes the problem's test-bed by an algorithm of ``bilevel``.

    Its learner fits a new task by what the algorithm finds; its measure is how that scores.
    """
    testbed, of = make_testbed(problem.settings), problem.settings
    options |= {"reptile_rate": of.reptile_rate, "tasks_at_once": problem.tasks_at_once}
    measure = functools.partial(scores_by_step, testbed, every=steps_between_scores(of))
    return Method(testbed.tuned(rule, **options), testbed.learner(), measure)


def online(
    problem: Problem,
    training: Training,
    estimator: Hypergradient,
    updates: Updates,
    calibrate_every: int | None = None,
) -> Method:
    """Return the method that moves the hyperparameters by an estimator, while tasks are fitted."""
    every = updates.every
    optimizer = training.make_optimizer(training.steps * problem.settings.inner_steps // every)
    rule = functools.partial(bilevel.online, estimator, optimizer=optimizer)
    return tuned(problem, rule, every=every, calibrate_every=calibrate_every)


def distilled(
    problem: Problem,
    training: Training,
    *,
    updates: Updates = UPDATES,
    gamma: Decay = 0.9,
    calibrate_every: Count | None = None,
) -> Method:
    """Distill all past steps' derivatives into one (HyperDistill; Lee 2022, arXiv 2110.02508).

    As in the paper, the second-order term has norm 1 on the test-bed ``weights``, where there is no
    first-order term with it.

    Args:
      gamma: Decay of older steps' weights.
      calibrate_every: Meta-steps between estimates of theta. None: theta stays 1.
    """
    unit = problem.settings.testbed == "weights"
    estimator = bilevel.distilled(gamma=gamma, scale="unit" if unit else "distilled")
    return online(problem, training, estimator, updates, calibrate_every)


def one_step(problem: Problem, training: Training, *, updates: Updates = UPDATES) -> Method:
    """Differentiate through the last inner step alone (Luketina et al. 2016, arXiv 1511.06727)."""
    return online(problem, training, bilevel.one_step(), updates)


def first_order(problem: Problem, training: Training, *, updates: Updates = UPDATES) -> Method:
    """Take the outer loss's direct gradient alone (a baseline of Lee 2022, arXiv 2110.02508)."""
    return online(problem, training, bilevel.first_order(), updates)


def drmad(problem: Problem, training: Training, *, updates: Updates = UPDATES) -> Method:
    """Differentiate back along a line of weights (DrMAD; Fu et al. 2016, arXiv 1601.00917)."""
    return online(problem, training, bilevel.drmad(), updates)


def neumann(
    problem: Problem, training: Training, *, updates: Updates = UPDATES, terms: Count = 5
) -> Method:
    """Sum a Neumann series at the last step (Lorraine et al. 2020, arXiv 1911.02590).

    Args:
      terms: Terms of the series.
    """
    return online(problem, training, bilevel.neumann(terms=terms), updates)


def unrolled(problem: Problem, training: Training, *, updates: Updates = UPDATES) -> Method:
    """Differentiate back through the inner steps (Maclaurin et al. 2015, arXiv 1502.03492)."""
    return online(problem, training, bilevel.unrolled(), updates)


def forward(problem: Problem, training: Training, *, updates: Updates = UPDATES) -> Method:
    """Carry all derivatives along the inner steps (Franceschi et al. 2017, arXiv 1703.01785)."""
    return online(problem, training, bilevel.forward(), updates)


def es(problem: Problem, training: Training, *, how: Perturbations = PERTURBATIONS) -> Method:
    """Perturb hyperparameters from the state reached (ES; Salimans 2017, arXiv 1703.03864)."""
    return online(problem, training, bilevel.es(sigma=how.sigma, pairs=how.pairs), how)


def pes(problem: Problem, training: Training, *, how: Perturbations = PERTURBATIONS) -> Method:
    """Perturb whole runs, window by window (persistent ES; Vicol et al. 2021, arXiv 2112.13835)."""
    return online(problem, training, bilevel.pes(sigma=how.sigma, pairs=how.pairs), how)


def random_search(
    problem: Problem,
    training: Training,
    *,
    trial_steps: Annotated[Count, divisor_of("steps")] = 10,
) -> Method:
    """Draw hyperparameters and keep the best (random search; Bergstra and Bengio 2012, JMLR 13).

    Takes no gradient of them, so the learning rate and its schedule have no effect.

    Args:
      trial_steps: Meta-steps that drawn hyperparameters are tried for; divides `steps`.
    """
    return tuned(problem, bilevel.random_search, trial_steps=trial_steps)


METHODS: dict[str, Entry] = {
    "distilled": distilled,
    "one_step": one_step,
    "first_order": first_order,
    "drmad": drmad,
    "neumann": neumann,
    "unrolled": unrolled,
    "forward": forward,
    "es": es,
    "pes": pes,
    "random_search": random_search,
}
"""All methods by name, the default first. A new one joins by a line here."""
