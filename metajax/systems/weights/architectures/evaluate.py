"""Measure predicted starts: the accuracy of networks as they start, and after steps of training."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key

from metajax.core import (
    MetaLearner,
    Params,
    accuracy,
    cross_entropy,
    derive,
    optimizer_step,
    prepare_optimizer,
    random_indices,
)
from metajax.data import ImagePool
from metajax.hypernet import MLPArchitecture
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Row, chance_row, interval
from metajax.systems.weights.architectures.problem import GROUPS, ArchitectureProblem, Architectures
from metajax.systems.weights.conditions import under

EVAL_SEED = 0
"""Seed of random starts and of the images that are trained on: the same for every run."""


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def start_up(
    apply: Callable[..., Array],
    marks: tuple[int, ...],
    examples: int,
    rate: Float[Array, ""],
    weights: Params,
    architectures: MLPArchitecture,
    pools: tuple[ImagePool, ImagePool],
    conditions: Any,
    key: Key[Array, ""],
) -> Float[Array, "architectures marks"]:
    """Train networks from their starts by Adam, and measure them on the way.

    Args:
      apply: of the padded network.
      marks: steps after which accuracy is measured, in order.
      examples: images of a step.
      rate: learning rate.
      weights: a start for each architecture.
      architectures: on the first axis.
      pools: images to train on, and images to measure on.
      conditions: the architectures' own.
      key: of the images of the steps.
    """
    train, test = pools
    asked = under(test, conditions, None, None)
    rule = prepare_optimizer(optax.adam(rate), has_function=False)

    def one(given: tuple[Params, MLPArchitecture, Array]) -> Array:
        weights, architecture, key = given

        def step(number: Array, state: Any) -> Any:
            weights, rule_state = state
            size = jnp.uint32(len(train.labels))
            rows = random_indices(derive(key, "images", number), (examples,), size)
            seen = under(train, conditions, None, rows)

            def loss(weights: Params) -> Array:
                return cross_entropy(apply(weights, architecture, seen.inputs), seen.targets)

            value, slopes = jax.value_and_grad(loss)(weights)
            return optimizer_step(rule, weights, rule_state, slopes, value=value)

        def section(state: Any, ends: Array) -> tuple[Any, Array]:
            state = jax.lax.fori_loop(ends[0], ends[1], step, state)
            return state, accuracy(apply(state[0], architecture, asked.inputs), asked.targets)

        ends = jnp.array([(0, *marks[:-1]), marks]).T
        return jax.lax.scan(section, (weights, rule.init(weights)), ends)[1]

    keys = jax.random.split(key, len(architectures.widths))
    return jax.lax.map(one, (weights, architectures, keys))


@functools.partial(jax.jit, static_argnums=(0, 1))
def starts(
    learner: MetaLearner,
    random: Callable[..., Params],
    params: Params,
    architectures: MLPArchitecture,
    key: Key[Array, ""],
) -> tuple[Params, Params]:
    """Return the starts that a method gives architectures, and random ones."""
    keys = jax.random.split(derive(key, "random"), len(architectures.widths))
    made, _ = jax.vmap(lambda one: learner.adapt(params, one, key))(architectures)
    return made, jax.vmap(random)(keys, architectures)


def measured(
    problem: ArchitectureProblem,
    learner: MetaLearner,
    params: Params,
    marks: tuple[int, ...],
    rate: Float[Array, ""],
) -> dict[str, dict[str, Float[Array, "architectures marks"]]]:
    """Return the accuracies from ``predicted`` and from ``random`` starts, by group.

    Args:
      problem: with the groups of architectures.
      learner: that predicts starts.
      params: of the learner.
      marks: steps after which accuracy is measured, in order.
      rate: learning rate of these steps.
    """
    target, conditions = problem.padded, problem.conditions
    pools, examples = (problem.tasks.pool, problem.test), problem.settings.examples
    key = jax.random.key(EVAL_SEED)
    found: dict[str, dict[str, Array]] = {"predicted": {}, "random": {}}
    for name, group in conditions.groups.items():
        both = starts(learner, target.random, params, group, key)
        for scores, weights in zip(found.values(), both, strict=True):
            scores[name] = start_up(
                target.apply,
                marks,
                examples,
                rate,
                weights,
                group,
                pools,
                conditions,
                derive(key, name),
            )
    return found


def evaluate(
    problem: ArchitectureProblem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure what networks of unseen architectures can do, as they start and after some steps.

    Intervals are over architectures. He starts of the same architectures, trained on the same
    images, are the baseline.
    """
    assert method.learner is not None and isinstance(problem.conditions, Architectures)
    marks = (0, *sorted(set(config.start_steps)))
    found = measured(problem, method.learner, params, marks, jnp.float32(config.start_lr))
    rows = {
        name: Row(f"{config.method}, {kind}", interval(found["predicted"][name]))
        for name, kind in GROUPS.items()
    }
    for name, kind in GROUPS.items():
        title, score = f"He start, {kind}", interval(found["random"][name])
        rows[f"random_{name}"] = Row(title, score, baseline=True, compared_with=name)
    mean = interval(jnp.concatenate(list(found["predicted"].values())))
    rows["mean"] = Row(f"{config.method}, mean over architectures", mean)
    rows["chance"] = chance_row([1 / problem.ways], len(problem.test.labels))
    return Evaluation(
        rows,
        axis="steps of training",
        points=[float(mark) for mark in marks],
        setting=f"{problem.setting()}, {config.eval_architectures} of each kind",
    )
