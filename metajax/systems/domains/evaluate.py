"""Measure the accuracy on target domains, with the support of another domain as a control."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params, accuracy
from metajax.data import Domains
from metajax.learners import center_scores, class_centers
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


@functools.partial(jax.jit, static_argnames=("learner", "shots", "supports"))
def scores(
    learner: MetaLearner,
    params: Params,
    domains: Domains,
    key: Key[Array, ""],
    shots: int,
    supports: int,
) -> dict[str, Float[Array, " domains"]]:
    """Return the accuracy on each domain, on all of its images that are not in the support.

    ``own`` is after adapting to the domain's own support. ``opposite``, of a learner that adapts,
    is after adapting to the same images as the domain half the way around has them. ``unadapted``,
    of a learner that takes steps, is before the first.

    Args:
      learner: that adapts.
      params: meta-trained.
      domains: whose images are classified.
      key: of the supports and of adapting.
      shots: images of a support.
      supports: of each domain.

    Returns:
      Accuracies by name, means over the supports.
    """

    def one(domain: Array, key: Array) -> dict[str, Array]:
        rows_key, adapt_key = jax.random.split(key)
        rows = jax.random.permutation(rows_key, domains.num_images).astype(jnp.int32)
        support, query = (domains.take(domain, some) for some in (rows[:shots], rows[shots:]))

        def accuracy_of(adapted: Any) -> Array:
            return accuracy(learner.predict(params, adapted, query.inputs), query.targets)

        adapted = learner.adapt(params, support, adapt_key)
        found = {"own": accuracy_of(adapted)}
        if jax.tree.leaves(adapted):
            opposite = (domain + domains.num_domains // 2) % domains.num_domains
            support_there = domains.take(opposite, rows[:shots])
            found["opposite"] = accuracy_of(learner.adapt(params, support_there, adapt_key))
        if learner.follow is not None:
            start, _ = learner.follow(params, support, adapt_key, 0, lambda _: jnp.zeros(()))
            found["unadapted"] = accuracy_of(start)
        return found

    each = jnp.repeat(jnp.arange(domains.num_domains, dtype=jnp.int32), supports)
    found = jax.lax.map(lambda args: one(*args), (each, jax.random.split(key, len(each))))
    return {name: jnp.mean(value.reshape(-1, supports), 1) for name, value in found.items()}


def measured(problem: Problem, method: Method, params: Params) -> dict[str, np.ndarray]:
    """Return the accuracies of a method by target domain."""
    of, key = problem.settings, jax.random.key(EVAL_KEY)
    assert method.learner is not None
    found = scores(method.learner, params, problem.targets, key, of.shots, of.eval_supports)
    return {name: np.asarray(values, float) for name, values in found.items()}


@functools.partial(jax.jit, static_argnames="ways")
def nearest_mean(sources: Domains, targets: Domains, ways: int) -> Float[Array, " domains"]:
    """Return the accuracy of the nearest class mean of all source images, by target domain.

    Args:
      sources: whose images are averaged.
      targets: whose images are classified.
      ways: classes.
    """
    centers = class_centers(jnp.mean(sources.images, axis=0), sources.labels, ways)

    def on(images: Array) -> Array:
        return accuracy(center_scores(images, centers), targets.labels)

    return jax.lax.map(on, targets.images)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on target domains; intervals are over the domains.

    ``more`` holds the accuracies by domain with their turns, and two differences: what adapting
    gains (``gain``), and what the domain's own images gain over those of the opposite one
    (``own_over_opposite``).
    """
    found = measured(problem, method, params)
    titles = TITLES if "opposite" in found else {"own": "target domains"}
    # a compiled function returns names in another order; the first row is the one compared by
    rows = {name: Row(titles[name], interval(found[name])) for name in titles if name in found}
    means = np.asarray(nearest_mean(problem.tasks.domains, problem.targets, problem.ways), float)
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
