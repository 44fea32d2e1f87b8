"""Measure the accuracy on test images under each angle or width."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import MetaLearner, Params, correct
from metajax.data import ImagePool
from metajax.learners import center_scores, class_centers
from metajax.systems.base import Method, Objective
from metajax.systems.scores import Evaluation, Row, chance_row, interval
from metajax.systems.weights.conditions import under
from metajax.systems.weights.problem import Problem


@functools.partial(jax.jit, static_argnums=0)
def right(
    learner: MetaLearner, params: Params, test: ImagePool, conditions: Any, key: Key[Array, ""]
) -> Float[Array, "conditions images"]:
    """Return which test images are classified right, under each condition that is measured."""

    def one(condition: Any) -> Array:
        adapted = learner.adapt(params, condition, key)
        query = under(test, conditions, condition, None)
        return correct(learner.predict(params, adapted, query.inputs), query.targets)

    return jax.lax.map(one, conditions.measured())


@jax.jit
def nearest_mean(
    train: ImagePool, test: ImagePool, conditions: Any
) -> Float[Array, "conditions images"]:
    """Return which test images the nearest class mean classifies right, under each condition."""

    def one(condition: Any) -> Array:
        seen, asked = (under(pool, conditions, condition, None) for pool in (train, test))
        centers = class_centers(seen.inputs, seen.targets, train.num_classes)
        return correct(center_scores(asked.inputs, centers), asked.targets)

    return jax.lax.map(one, conditions.measured())


def by_image(found: Float[Array, "conditions images"]) -> Float[np.ndarray, "images conditions"]:
    """Return what was found of each image, on the first axis."""
    return np.asarray(found, float).T


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on test images by condition; intervals are over the images.

    The row ``mean`` is the mean over conditions, of which each image gives one number.
    """
    assert method.learner is not None
    conditions = problem.conditions
    found = by_image(
        right(method.learner, params, problem.test, conditions, jax.random.key(config.seed))
    )
    nearest = by_image(nearest_mean(problem.tasks.pool, problem.test, conditions))
    title = "nearest mean of training images under the same condition"
    return Evaluation(
        axis=conditions.axis,
        points=conditions.points,
        rows={
            "test": Row(config.method, interval(found)),
            "mean": Row(f"{config.method}, mean over conditions", interval(found.mean(1))),
            "nearest_mean": Row(title, interval(nearest), baseline=True),
            "chance": chance_row([1 / problem.ways], len(found)),
        },
    )


def on_test_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the mean accuracy over conditions."""
    assert method.learner is not None
    found = by_image(right(method.learner, params, problem.test, problem.conditions, key))
    return interval(found.mean(1)).last()


def mean_accuracy(place: int) -> Objective:
    """Return the objective of the accuracy on test images, the mean over conditions.

    Args:
      place: along the axis.
    """
    title = "accuracy on test images, mean over conditions"
    return Objective(f"rows.mean.mean[{place}]", title=title)
