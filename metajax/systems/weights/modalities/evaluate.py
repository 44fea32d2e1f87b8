"""Measure adapters of unseen modalities, with baselines that are trained on pairs or solved."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Key

from metajax.core import (
    Examples,
    Network,
    Params,
    Task,
    correct,
    derive,
    optimizer_step,
    prepare_optimizer,
)
from metajax.hypernet import Pairs, solved_columns
from metajax.learners import averaged_adapters, center_scores, text_logits
from metajax.nn import thin_svd
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Row, chance_row, interval
from metajax.systems.weights.modalities.methods import ModalityParts
from metajax.systems.weights.modalities.problem import Measured, ModalityTasks
from metajax.systems.weights.problem import Problem

RIDGES = tuple(10.0 ** (power / 2) for power in range(-5, 5))
"""Strengths among which that of the ridge regression is chosen, on modalities of training."""
CHOICE_TASKS = 64
"""Tasks of training that it is chosen on."""


def fraction(logits: Float[Array, "n classes"], query: Examples) -> Float[Array, ""]:
    """Return the share of a query that is classified right."""
    return jnp.mean(correct(logits, query.targets))


def ridge_logits(
    pairs: Pairs, texts: Float[Array, "c e"], ridge: Float[Array, ""], inputs: Float[Array, "n d"]
) -> Float[Array, "n c"]:
    """Return the reader's logits of a ridge regression from embeddings to texts.

    The intercept is the mean of all texts, as in a support with as many pairs of each class.
    """
    columns = solved_columns(pairs, jnp.log(ridge)[None])
    return text_logits(
        inputs @ columns.kernel + (columns.offset + jnp.mean(texts, axis=0))[None], texts
    )


def procrustes_logits(
    pairs: Pairs, texts: Float[Array, "c e"], inputs: Float[Array, "n d"]
) -> Float[Array, "n c"]:
    """Return the reader's logits of the best orthogonal map to texts (Schonemann 1966).

    Embeddings and texts are centered. The smaller space is mapped into the larger one without a
    change of lengths.
    """
    here = pairs.present[:, None]
    mean = jnp.sum(jnp.where(here, pairs.inputs, 0), axis=0) / jnp.sum(
        here.astype(pairs.inputs.dtype)
    )
    middle = jnp.mean(texts, axis=0)
    rows = jnp.where(here, pairs.inputs - mean[None], 0)
    u, _, v = thin_svd(rows.T @ (pairs.texts - middle[None]))
    return text_logits((inputs - mean[None]) @ (u @ v), texts - middle[None])


def mean_logits(
    pairs: Pairs, texts: Float[Array, "c e"], inputs: Float[Array, "n d"]
) -> Float[Array, "n c"]:
    """Return how near each class mean of a support is that has the classes in turn."""
    of = jnp.tile(jnp.eye(len(texts)), (len(pairs.present) // len(texts), 1))
    of = of * pairs.present[:, None].astype(of.dtype)
    means = of.T @ pairs.inputs / jnp.sum(of, axis=0)[:, None]
    return center_scores(inputs, means)


def with_pairs(inputs: Float[Array, "n d"], texts: Float[Array, "c e"], pairs: Array) -> Pairs:
    """Return the first pairs of each class of a support that has the classes in turn."""
    classes = len(texts)
    every = jnp.tile(texts, (len(inputs) // classes, 1))
    return Pairs(inputs, every, jnp.arange(len(inputs)) < pairs * classes)


def halves(classes: int, size: int, pairs: Array) -> Bool[Array, "2 n"]:
    """Return two halves of a support with the classes in turn; of one pair a class, all of it."""
    place = jnp.arange(size) // classes
    whole = pairs < 2
    return jnp.stack([whole | (place % 2 == half) for half in (0, 1)])


def tuned(
    projector: Network,
    start: Params,
    texts: Float[Array, "c e"],
    support: Pairs,
    steps: int,
    rate: float,
) -> Params:
    """Return a projector after steps of Adam on a support that has the classes in turn."""
    labels = jnp.arange(len(support.present)) % len(texts)
    rule = prepare_optimizer(optax.adam(rate), has_function=False)
    weights = support.present.astype(support.inputs.dtype)

    def loss(params: Params) -> Float[Array, ""]:
        logits = text_logits(projector.apply(params, support.inputs), texts)
        each = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.sum(each * weights) / jnp.sum(weights)

    def step(carry: Any, _: None) -> tuple[Any, None]:
        params, state = carry
        value, slopes = jax.value_and_grad(loss)(params)
        return optimizer_step(rule, params, state, slopes, value=value), None

    return jax.lax.scan(step, (start, rule.init(start)), None, length=steps)[0][0]


@functools.partial(jax.jit, static_argnums=(0, 1))
def adapted_accuracy(
    parts: ModalityParts,
    pairs: tuple[int, ...],
    params: Params,
    texts: Float[Array, "c e"],
    measured: Measured,
    key: Key[Array, ""],
) -> Float[Array, "tasks points"]:
    """Return the accuracy of adapted projectors alone, by number of pairs a class."""

    def one(support: Array, query: Examples, number: Array) -> Float[Array, ""]:
        reader = parts.reader
        adapted = reader.adapt(params, with_pairs(support, texts, number), key)
        return fraction(reader.predict(params, adapted, query.inputs), query)

    every = jax.vmap(jax.vmap(one, (None, None, 0)), (0, 0, None))
    return every(measured.support, measured.query, jnp.asarray(pairs))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def accuracies(
    parts: ModalityParts,
    pairs: tuple[int, ...],
    tuning: tuple[int, float],
    params: Params,
    texts: Float[Array, "c e"],
    ridges: Float[Array, " points"],
    measured: Measured,
    key: Key[Array, ""],
) -> dict[str, Float[Array, "tasks points"]]:
    """Return the accuracy of all that reads the pairs, by number of pairs a class."""
    projector, reader = parts

    def one(support: Array, query: Examples, number: Array, ridge: Array) -> dict[str, Array]:
        seen = with_pairs(support, texts, number)
        parted = halves(len(texts), len(support), number)
        adapted = reader.adapt(params, seen, key)
        scratch = projector.init(derive(key, "scratch"), support)
        mean = averaged_adapters(reader, params, seen, parted, key)
        starts = [adapted, params["projector"], scratch]
        ends = [tuned(projector, start, texts, seen, *tuning) for start in starts]
        names = ("adapter", "average", "tuned", "shared", "scratch")
        logits = {
            name: text_logits(projector.apply(each, query.inputs), texts)
            for name, each in zip(names, [adapted, mean, *ends], strict=True)
        }
        logits["means"] = mean_logits(seen, texts, query.inputs)
        logits["ridge"] = ridge_logits(seen, texts, ridge, query.inputs)
        logits["procrustes"] = procrustes_logits(seen, texts, query.inputs)
        return {name: fraction(each, query) for name, each in logits.items()}

    def at(point: tuple[Array, Array]) -> dict[str, Array]:
        return jax.vmap(one, (0, 0, None, None))(measured.support, measured.query, *point)

    found = jax.lax.map(at, (jnp.asarray(pairs), ridges))
    return jax.tree.map(lambda leaf: leaf.T, found)


@functools.partial(jax.jit, static_argnums=0)
def chosen_ridges(
    pairs: tuple[int, ...], tasks: ModalityTasks, key: Key[Array, ""]
) -> Float[Array, " points"]:
    """Return the ridge that is best on modalities of training, for each number of pairs."""
    ridges = jnp.asarray(RIDGES)

    def one(key: Key[Array, ""], number: Array) -> Float[Array, " ridges"]:
        task: Task = tasks(key)
        seen = with_pairs(task.support.inputs, tasks.texts, number)
        return jnp.stack(
            [
                fraction(ridge_logits(seen, tasks.texts, ridge, task.query.inputs), task.query)
                for ridge in ridges
            ]
        )

    keys = jax.random.split(key, CHOICE_TASKS)
    found = jax.vmap(jax.vmap(one, (0, None)), (None, 0))(keys, jnp.asarray(pairs))
    return ridges[jnp.argmax(jnp.mean(found, axis=1), axis=1)]


GROUPS = {
    "test": "unseen encoders",
    "views": "hand-made features",
    "glyphs": "printed digits",
}
"""What is measured, in words."""
TITLES = {
    "adapter": "{method}",
    "average": "{method}, mean of two adapters from halves",
    "tuned": "{method}, then tuned on the pairs",
    "shared": "shared projector, tuned on the pairs",
    "scratch": "projector from scratch",
    "means": "nearest class mean",
    "ridge": "ridge regression to the texts",
    "procrustes": "orthogonal Procrustes to the texts",
}
"""Rows of each group."""
BASELINES = ("scratch", "means", "ridge", "procrustes")
"""Rows that need no training on other modalities."""


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure accuracy by number of pairs a class; intervals are over modalities and supports.

    ``more`` has the ridge that was chosen for each number of pairs.
    """
    of, conditions = problem.settings, problem.conditions
    key = jax.random.key(config.seed)
    ridges = chosen_ridges(of.eval_pairs, problem.tasks, derive(key, "ridges"))
    rows: dict[str, Row] = {}
    for group, measured in conditions.groups.items():
        found = accuracies(
            method.parts,
            of.eval_pairs,
            (of.pair_steps, of.pair_lr),
            params,
            conditions.texts,
            ridges,
            measured,
            derive(key, "adapt"),
        )
        for name, title in TITLES.items():
            called = group if name == "adapter" else f"{group}_{name}"
            said = f"{GROUPS[group]}: {title.format(method=config.method)}"
            # a comparison shows baselines with its score: those of what that is measured on
            baseline = name in BASELINES and group == "test"
            rows[called] = Row(said, interval(found[name]), baseline=baseline)
    num = len(conditions.groups["test"].support)
    rows["chance"] = chance_row([1 / problem.ways], num)
    return Evaluation(
        rows,
        axis=conditions.axis,
        points=conditions.points,
        more={"ridges": np.asarray(ridges).tolist()},
    )


def on_unseen_encoders(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy on unseen encoders, the mean over numbers of pairs."""
    pairs, conditions = problem.settings.eval_pairs, problem.conditions
    measured = conditions.groups["test"]
    found = adapted_accuracy(method.parts, pairs, params, conditions.texts, measured, key)
    return interval(found.mean(axis=1)).last()
