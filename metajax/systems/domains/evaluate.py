"""Measure the accuracy on target domains, with the support of another domain as a control."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from metajax import learners
from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.domains.problem import Problem
from metajax.systems.scores import Evaluation, Row, chance_row, interval

EVAL_KEY = 2210_03885
"""Seed of the supports that are evaluated on: the same for every run."""
TITLES = {
    "own": "target domains, after their own images",
    "opposite": "after images of the opposite domain",
    "unadapted": "before adapting",
}
"""What accuracies are of, in words."""

_scores = jax.jit(learners.domain_accuracies, static_argnames=("learner", "shots", "supports"))
_nearest_mean = jax.jit(learners.domain_mean_accuracies, static_argnames="ways")


def measured(problem: Problem, method: Method, params: Params) -> dict[str, np.ndarray]:
    """Return the accuracies of a method by target domain, those that there are."""
    of, key = problem.settings, jax.random.key(EVAL_KEY)
    found = _scores(
        method.learner, params, problem.targets, key, shots=of.shots, supports=of.eval_supports
    )
    return {
        name: np.asarray(values, float)
        for name, values in found._asdict().items()
        if values is not None
    }


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on target domains; intervals are over the domains.

    ``more`` holds the accuracies by domain with their turns, and two differences: what adapting
    gains (``gain``), and what the domain's own images gain over those of the opposite one
    (``own_over_opposite``).
    """
    found = measured(problem, method, params)
    titles = TITLES if "opposite" in found else TITLES | {"own": "target domains"}
    rows = {name: Row(titles[name], interval(values)) for name, values in found.items()}
    means = np.asarray(_nearest_mean(problem.tasks.domains, problem.targets, problem.ways), float)
    rows["nearest_mean"] = Row("nearest mean of training images", interval(means), baseline=True)
    rows["chance"] = chance_row([1 / problem.ways], len(means))
    number = problem.targets.num_domains
    turns = [360 / number * (index + 0.5) for index in range(number)]
    differences = {
        name: found["own"] - found[of]
        for name, of in (("gain", "unadapted"), ("own_over_opposite", "opposite"))
        if of in found
    }
    more = {
        "turns": turns,
        "by_domain": {name: values.tolist() for name, values in found.items()},
        **{name: interval(values)._asdict() for name, values in differences.items()},
    }
    return Evaluation(rows, more=more)


def on_targets(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the present accuracy on target domains."""
    return interval(measured(problem, method, params)["own"]).last()
