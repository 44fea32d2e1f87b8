"""Measure the accuracy on test images, and what training has cost."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from metajax.core import Examples, Params, accuracy, correct
from metajax.learners import stopped_early
from metajax.systems.base import Method
from metajax.systems.growth.problem import Problem
from metajax.systems.growth.stage import Members, Stage
from metajax.systems.scores import Evaluation, Row, chance_row, interval

TITLES = {
    "dense": "its dense network",
    "start": "its experts, not tuned yet",
    "own_start": "not tuned yet, each domain by its own",
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
    for index, stage in enumerate(stages):
        if stage.row:
            found[stage.row] = correct(branch(index)(), test.targets)
    return found


@functools.partial(jax.jit, static_argnames="stages")
def more_of(
    stages: tuple[Stage, ...], params: Params, test: Examples
) -> tuple[dict[str, Float[Array, " images"]], dict[str, Array]]:
    """Return what further networks classify right, and the arrays of the last stage."""
    if stages[-1].more is None:
        return {}, {}
    logits, arrays = stages[-1].more(params.networks, test.inputs)
    return {name: correct(each, test.targets) for name, each in logits.items()}, arrays


@functools.partial(jax.jit, static_argnames="stage")
def best_snapshot(stage: Stage, params: Params, held_out: Examples) -> Params:
    """Return the snapshot that classifies most held-out images right."""

    def score(one: Params) -> Float[Array, ""]:
        return accuracy(stage.logits(one.networks[-1], held_out.inputs), held_out.targets)

    return stopped_early(params, score)


def in_use(problem: Problem, stages: tuple[Stage, ...], params: Params) -> tuple[Params, Any]:
    """Return the parameters that are in use, and which snapshot they are; None: there are none."""
    if not stages[-1].held_out:
        return params, None
    _, held_out = problem.kept_apart(stages[-1].held_out)
    return best_snapshot(stages[-1], params, held_out)


@functools.partial(jax.jit, static_argnames="members")
def right_of_each(
    members: Members, networks: tuple[Params, ...], test: Examples
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
    params, snapshot = in_use(problem, stages, params)
    found = right(stages, params, problem.test)
    rows = {"test": Row(f"{config.method}, {stages[-1].name}", interval(found["test"]))}
    if "small" in found:
        rows["small"] = Row("its small network", interval(found["small"]))
    for stage in stages:
        if stage.row:
            rows[stage.row] = Row(stage.row, interval(found[stage.row]))
    also, arrays = more_of(stages, params, problem.test)
    rows |= {name: Row(TITLES[name], interval(also[name])) for name in TITLES if name in also}
    members = stages[-1].members
    if members is not None:
        hits = np.asarray(right_of_each(members, params.networks, problem.test))
        title = f"{config.method}, the best on other test images"
        rows["test"] = Row(title, interval(chosen(hits)))
        rows["mean"] = Row(f"mean of the {len(hits)} networks", interval(hits.mean(0)))
    if problem.tasks.codes:
        row = Row("most frequent after the last one", interval(after_last(problem)), baseline=True)
        rows["after_last"] = row
    else:
        row = Row("nearest mean of training images", interval(nearest_mean(problem)), baseline=True)
        rows["nearest_mean"] = row
    rows["chance"] = chance_row([1 / problem.ways], len(problem.test.targets))
    images = config.examples * config.tasks_per_step
    of_step = stages[-1].budget or problem.update_flops(problem.large)
    flops = [images * each.steps * each.updates * each.flops for each in stages]
    more = {
        "stages": [
            {
                "network": each.name,
                "steps": each.steps,
                "updates": each.steps * each.updates,
                "flops": cost,
            }
            for each, cost in zip(stages, flops, strict=True)
        ],
        "flops": sum(flops),
        "budget": images * config.steps * of_step,
        "longest": sum(cost / each.apart for each, cost in zip(stages, flops, strict=True)),
        **{name: np.asarray(each).tolist() for name, each in arrays.items()},
    }
    if snapshot is not None:
        more["snapshot"] = int(snapshot)
    if members is not None:
        scores = zip(members.names, members.flops, hits.mean(1).tolist(), strict=True)
        more["members"] = [
            {"name": name, "flops": flops, "accuracy": score} for name, flops, score in scores
        ]
    return Evaluation(rows, more=more)


def on_test_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy of the network that is in use now."""
    params, _ = in_use(problem, method.parts, params)
    return interval(right(method.parts, params, problem.test)["test"]).last()
