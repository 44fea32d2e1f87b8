"""Measure the accuracy on test images, and what training has cost."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, Params, correct
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.stage import Stage
from metajax.systems.scores import Evaluation, Row, chance_row, interval

TITLES = {
    "dense": "its dense network",
    "start": "its experts, not tuned yet",
    "own_start": "the same, each domain by its own",
    "own_domain": "its experts, each domain by its own",
}
"""Rows of further networks, in words."""


@functools.partial(jax.jit, static_argnames="stages")
def right(
    stages: tuple[Stage, ...], params: Params, test: Examples
) -> dict[str, Float[Array, " images"]]:
    """Return which test images the networks in use classify right."""

    def branch(index: int) -> Any:
        return lambda: stages[index].logits(params.networks[index], test.inputs)

    logits = jax.lax.switch(params.stage, [branch(index) for index in range(len(stages))])
    found = {"test": correct(logits, test.targets)}
    also = stages[-1].also
    if also is not None:
        found["small"] = correct(also(params.networks[-1], test.inputs), test.targets)
    return found


@functools.partial(jax.jit, static_argnames="stages")
def more(
    stages: tuple[Stage, ...], params: Params, test: Examples
) -> tuple[dict[str, Float[Array, " images"]], dict[str, Array]]:
    """Return what further networks classify right, and the arrays of the last stage."""
    if stages[-1].more is None:
        return {}, {}
    logits, arrays = stages[-1].more(params.networks, test.inputs)
    return {name: correct(each, test.targets) for name, each in logits.items()}, arrays


def nearest_mean(problem: Problem) -> Bool[np.ndarray, " images"]:
    """Return which test images the nearest class mean of the training images classifies right.

    Each domain has its own class means.
    """
    images, labels = np.asarray(problem.tasks.images, float), np.asarray(problem.tasks.labels)
    domains = problem.settings.domains
    labels = labels + problem.ways * np.repeat(np.arange(domains), len(labels) // domains)
    # a class without images is never the nearest
    means = np.full((domains * problem.ways, images.shape[1]), np.inf)
    for label in np.unique(labels):
        means[label] = images[labels == label].mean(0)
    inputs = np.asarray(problem.test.inputs, float)
    apart = np.stack([((inputs - mean[None]) ** 2).sum(1) for mean in means], 1)
    return apart.argmin(1) % problem.ways == np.asarray(problem.test.targets)


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on test images; intervals are over the images.

    ``more`` holds the stages of training with their steps and updates, all their operations
    (``flops``), those of as many steps of the large network (``budget``), and the method's arrays.
    """
    stages: tuple[Stage, ...] = method.parts
    found = right(stages, params, problem.test)
    rows = {"test": Row(f"{config.method}, {stages[-1].name}", interval(found["test"]))}
    if "small" in found:
        rows["small"] = Row("its small network", interval(found["small"]))
    also, arrays = more(stages, params, problem.test)
    rows |= {name: Row(TITLES[name], interval(each)) for name, each in also.items()}
    means = interval(nearest_mean(problem))
    rows["nearest_mean"] = Row("nearest mean of training images", means, baseline=True)
    rows["chance"] = chance_row([1 / problem.ways], len(problem.test.targets))
    images = config.examples * config.tasks_per_step
    return Evaluation(
        metric="accuracy",
        greatest=True,
        axis="",
        points=[0.0],
        rows=rows,
        setting=problem.setting(),
        more={
            "stages": [
                {"network": each.name, "steps": each.steps, "updates": each.steps * each.updates}
                for each in stages
            ],
            "flops": images * sum(each.steps * each.updates * each.flops for each in stages),
            "budget": images * config.steps * problem.update_flops(problem.large),
            **{name: np.asarray(each).tolist() for name, each in arrays.items()},
        },
    )


def on_test_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy of the network that is in use now."""
    return interval(right(method.parts, params, problem.test)["test"]).last()
