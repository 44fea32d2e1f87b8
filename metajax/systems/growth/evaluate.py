"""Measure the accuracy on test images, and what training has cost."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, Params, accuracy, correct
from metajax.learners import GrowthParams, predict_in_use, stopped_early
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.stage import Members, Networks, Stage
from metajax.systems.scores import Evaluation, Row, chance_row, interval

ROWS = {
    "small": "its small network",
    "shallow network": "shallow network",
    "assembled": "assembled",
    "dense": "its dense network",
    "start": "its experts, not tuned yet",
    "own_start": "not tuned yet, each domain by its own",
    "own_domain": "its experts, each domain by its own",
}
"""Rows of further networks in their order, in words."""


@functools.partial(jax.jit, static_argnames="stages")
def right(
    stages: tuple[Stage, ...], params: GrowthParams, test: Examples
) -> Float[Array, " images"]:
    """Return which test images the network in use classifies right."""
    logits = predict_in_use([stage.trained for stage in stages], params, test.inputs)
    return correct(logits, test.targets)


@functools.partial(jax.jit, static_argnames="stages")
def further(
    stages: tuple[Stage, ...], networks: Networks, test: Examples
) -> tuple[dict[str, Float[Array, " images"]], dict[str, Array]]:
    """Return what further networks classify right, and other arrays of the last stage."""
    ends = zip(stages, networks, strict=True)
    found = {
        stage.row: stage.trained.predict(params, test.inputs) for stage, params in ends if stage.row
    }
    found |= stages[-1].further(networks, test.inputs)
    hits = {name: correct(found.pop(name), test.targets) for name in ROWS if name in found}
    return hits, found


@functools.partial(jax.jit, static_argnames="stage")
def best_snapshot(stage: Stage, params: Params, held_out: Examples) -> Params:
    """Return the snapshot that classifies most held-out images right."""

    def score(one: Params) -> Float[Array, ""]:
        logits = stage.trained.predict(one.networks[-1], held_out.inputs)
        return accuracy(logits, held_out.targets)

    return stopped_early(params, score)


def in_use(problem: Problem, stages: tuple[Stage, ...], params: Any) -> tuple[GrowthParams, Any]:
    """Return the parameters that are in use, and which snapshot they are; None: there are none."""
    if not stages[-1].held_out:
        return params, None
    _, held_out = problem.kept_apart(stages[-1].held_out)
    return best_snapshot(stages[-1], params, held_out)


@functools.partial(jax.jit, static_argnames="members")
def right_of_each(
    members: Members, networks: Networks, test: Examples
) -> Float[Array, "members images"]:
    """Return which test images each of several networks classifies right."""
    return jax.vmap(correct, (0, None))(members.logits(networks, test.inputs), test.targets)


def chosen(right: Float[np.ndarray, "members images"]) -> Float[np.ndarray, " images"]:
    """Return which images the best network classifies right, chosen on other images.

    The networks are compared on every second image, and the best one is measured on the others;
    then the other way round. A network whose outputs are not finite is not chosen.
    """
    scores, half = np.nan_to_num(right, nan=-1.0), np.arange(right.shape[1]) % 2 == 0
    best = [right[scores[:, part].mean(1).argmax()] for part in (~half, half)]
    return np.where(half, *best)


def nearest_mean(problem: Problem) -> Bool[np.ndarray, " images"]:
    """Return which test images the nearest class mean of the training images classifies right.

    Each domain has its own class means.
    """
    images, labels = np.asarray(problem.tasks.images, float), np.asarray(problem.tasks.labels)
    domains = problem.tasks.domains
    labels = labels + problem.ways * np.repeat(np.arange(domains), len(labels) // domains)
    # a class without images is never the nearest
    means = np.full((domains * problem.ways, images.shape[1]), np.inf)
    for label in np.unique(labels):
        means[label] = images[labels == label].mean(0)
    inputs = np.asarray(problem.test.inputs, float)
    apart = np.stack([((inputs - mean[None]) ** 2).sum(1) for mean in means], 1)
    return apart.argmin(1) % problem.ways == np.asarray(problem.test.targets)


def after_last(problem: Problem) -> Bool[np.ndarray, " images"]:
    """Return which characters are the most frequent ones after those before them."""
    windows, labels = np.asarray(problem.tasks.images), np.asarray(problem.tasks.labels)
    counts = np.zeros((problem.ways, problem.ways))
    np.add.at(counts, (windows[:, -1], labels), 1)
    # codes of the last character of each window of the test
    last = np.asarray(problem.test.inputs)[:, -problem.ways :].argmax(1)
    return counts.argmax(1)[last] == np.asarray(problem.test.targets)


def baseline(problem: Problem) -> tuple[str, Row]:
    """Return the row of a baseline that trains no network, and its name."""
    if problem.tasks.codes:
        name, title, found = "after_last", "most frequent after the last one", after_last(problem)
    else:
        name, title = "nearest_mean", "nearest mean of training images"
        found = nearest_mean(problem)
    return name, Row(title, interval(found), baseline=True)


def operations(problem: Problem, stages: tuple[Stage, ...], config: Any) -> dict[str, Any]:
    """Return the steps, updates and operations of each stage, and the sums of their operations."""
    images = config.examples * config.tasks_per_step
    updates = [stage.trained.steps * stage.trained.updates for stage in stages]
    costs = [images * num * stage.flops for num, stage in zip(updates, stages, strict=True)]
    each = [
        {"network": stage.name, "steps": stage.trained.steps, "updates": num, "flops": cost}
        for stage, num, cost in zip(stages, updates, costs, strict=True)
    ]
    of_step = stages[-1].budget or problem.update_flops(problem.large)
    return {
        "stages": each,
        "flops": sum(costs),
        "budget": images * config.steps * of_step,
        "longest": sum(cost / stage.apart for stage, cost in zip(stages, costs, strict=True)),
    }


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on test images; intervals are over the images.

    ``more`` holds the stages of training with their steps, updates and operations, the sum of
    these (``flops``), the operations of as many steps of the large network (``budget``), and the
    method's arrays. ``longest`` counts what could be trained side by side once. ``snapshot`` is the
    one that held-out images have chosen. Where a method trains networks to choose from, ``members``
    has the accuracy of each and its operations for an image.
    """
    stages: tuple[Stage, ...] = method.parts
    last = stages[-1]
    used, snapshot = in_use(problem, stages, params)
    title, found = last.name, right(stages, used, problem.test)
    others, arrays = further(stages, used.networks, problem.test)
    more = operations(problem, stages, config)
    more |= {name: np.asarray(each).tolist() for name, each in arrays.items()}
    if snapshot is not None:
        more["snapshot"] = int(snapshot)
    rows = {name: Row(ROWS[name], interval(others[name])) for name in ROWS if name in others}
    if last.members is not None:
        hits = np.asarray(right_of_each(last.members, used.networks, problem.test))
        title, found = "the best on other test images", chosen(hits)
        rows["mean"] = Row(f"mean of the {len(hits)} networks", interval(hits.mean(0)))
        scores = zip(last.members.names, last.members.flops, hits.mean(1).tolist(), strict=True)
        more["members"] = [
            {"name": name, "flops": flops, "accuracy": score} for name, flops, score in scores
        ]
    name, row = baseline(problem)
    chance = chance_row([1 / problem.ways], len(problem.test.targets))
    test = Row(f"{config.method}, {title}", interval(found))
    return Evaluation({"test": test, **rows, name: row, "chance": chance}, more=more)


def on_test_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy of the network that is in use now."""
    used, _ = in_use(problem, method.parts, params)
    return interval(right(method.parts, used, problem.test)).last()
