"""Measure models of weights on tasks of unseen classes, and the zoo that they learn from."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from metajax.core import (
    Examples,
    GradientState,
    Params,
    Task,
    correct,
    cross_entropy,
    derive,
    gradient,
)
from metajax.learners import (
    ModeledZoo,
    WeightModel,
    adaptation_curve,
    center_scores,
    class_centers,
    flat_weights,
    maml,
    network_zoo,
    repeated,
    ridge_predictions,
    weights_from,
)
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Row, chance_row, interval
from metajax.systems.weights.classes.problem import TUNE_RATE, TUNE_STEPS, ClassTuples, TupleTasks
from metajax.systems.weights.problem import Problem

EVAL_KEY = 2402_18153
"""Seed of the images of unseen tasks: the same for every run."""
SAMPLES = 10
"""Networks that are drawn for each task by what draws them."""

Scores = dict[str, Float[Array, "tasks *points"]]


def supports(tasks: TupleTasks, key: Key[Array, ""]) -> Examples:
    """Return a support of each tuple."""
    return jax.tree.map(lambda leaf: leaf[0], tasks(key).support)


def queries(tasks: TupleTasks, key: Key[Array, ""], num: int) -> Examples:
    """Return so many images of each tuple."""
    m, ways = tasks.tuples.shape
    places = jnp.broadcast_to(jnp.arange(num, dtype=jnp.int32) % ways, (m, num))
    return tasks.some(key, places)


def accuracies(parts: ModeledZoo, weights: Params, query: Examples) -> Float[Array, " m"]:
    """Return the accuracy of networks, each on its own images."""

    def one(weights: Params, query: Examples) -> Float[Array, ""]:
        return jnp.mean(correct(parts.network.apply(weights, query.inputs), query.targets))

    return jax.vmap(one)(weights, query)


def generated(model: WeightModel, params: Params, support: Examples, key: Key[Array, ""]) -> Params:
    """Return the weights that a model gives for each support."""
    zoo, state = params.networks[0], params.networks[-1]
    keys = jax.random.split(key, len(support.targets))
    return jax.vmap(model.generate, (None, None, 0, 0))(zoo, state, support, keys)


@functools.partial(jax.jit, static_argnames=("parts", "num"))
def at_once(
    parts: ModeledZoo, params: Params, conditions: ClassTuples, key: Key[Array, ""], num: int
) -> Float[Array, " tasks"]:
    """Return the accuracy of generated networks on unseen tuples, without a step."""
    support = supports(conditions.unseen, derive(key, "support"))
    query = queries(conditions.unseen_test, derive(key, "query"), num)
    return accuracies(parts, generated(parts.model, params, support, derive(key, "draw")), query)


def trained(parts: ModeledZoo, start: Params, tasks: TupleTasks, key: Key[Array, ""]) -> Params:
    """Return a network for each tuple, trained on its images as those of a zoo are."""
    networks = repeated(start, len(tasks.tuples))
    learner = network_zoo(parts.network, parts.embed)
    begun = learner._replace(init=lambda key, task: {"networks": networks})
    algorithm = gradient(begun, parts.optimizer)

    def step(state: GradientState, number: Array) -> tuple[GradientState, None]:
        return algorithm.update(state, tasks(derive(key, "step", number)), key)[0], None

    numbers = jnp.arange(parts.zoo_steps, dtype=jnp.int32)
    state: GradientState = jax.lax.scan(step, algorithm.init(key, None), numbers)[0]
    return state.params["networks"]


def closed_forms(support: Examples, query: Examples, ways: int) -> Scores:
    """Return the accuracy of what needs no zoo on one task."""
    classes = jax.nn.one_hot(support.targets, ways)
    near = center_scores(query.inputs, class_centers(support.inputs, support.targets, ways))
    ridge = ridge_predictions(support.inputs, classes, query.inputs)
    found = {"nearest_mean": near, "ridge_classifier": ridge}
    return {name: jnp.mean(correct(at, query.targets)) for name, at in found.items()}


def together(
    parts: ModeledZoo,
    model: WeightModel,
    params: Params,
    support: Examples,
    query: Examples,
    key: Key[Array, ""],
) -> Scores:
    """Return what several draws of networks give for each task, alone and together."""

    def draw(key: Key[Array, ""]) -> tuple[Array, Array]:
        weights = generated(model, params, support, key)
        apply = jax.vmap(parts.network.apply)
        losses = jax.vmap(cross_entropy)(apply(weights, support.inputs), support.targets)
        return losses, apply(weights, query.inputs)

    losses, logits = jax.lax.map(draw, jax.random.split(key, SAMPLES))
    right = jnp.stack([jnp.mean(correct(one, query.targets), axis=1) for one in logits])
    said = jnp.argmax(logits, axis=-1)
    pairs = [
        jnp.mean((said[a] != said[b]).astype(jnp.float32), axis=1)
        for a in range(SAMPLES)
        for b in range(a)
    ]
    ensemble = jnp.mean(jax.nn.softmax(logits), axis=0)
    best = jnp.argmin(losses, axis=0)
    return {
        "one": jnp.mean(right, axis=0),
        "deviation": jnp.std(right, axis=0, ddof=1),
        "disagreement": jnp.mean(jnp.stack(pairs), axis=0),
        "ensemble": jnp.mean(correct(ensemble, query.targets), axis=1),
        "best_by_support_loss": jnp.take_along_axis(right, best[None], axis=0)[0],
    }


class Measured(NamedTuple):
    """Accuracies of one run.

    Attributes:
      rows: on unseen tuples, by row of the evaluation, by task and number of steps.
      zoo: of the zoo's networks on their own tasks; ``decoded``, what is left of them by the code.
      samples: of several draws for each unseen tuple, by row of the evaluation.
      share: part of the zoo's variance that the code keeps, where there is one.
    """

    rows: Scores
    zoo: Scores
    samples: dict[str, Scores]
    share: Float[Array, ""] | None


@functools.partial(jax.jit, static_argnames=("parts", "num"))
def measured(
    parts: ModeledZoo,
    params: Params,
    conditions: ClassTuples,
    num: int,
) -> Measured:
    """Measure a model of weights on ``num`` images of each tuple."""
    key = jax.random.key(EVAL_KEY)
    support = supports(conditions.unseen, derive(key, "support"))
    query = queries(conditions.unseen_test, derive(key, "query"), num)
    draw = derive(key, "draw")
    zoo, state = params.networks[0], params.networks[-1]
    learner = maml(parts.network, cross_entropy, optax.adam(TUNE_RATE), steps=1)

    def tuned(weights: Params, support: Examples, query: Examples) -> Float[Array, " points"]:
        task, most = Task(support, query), TUNE_STEPS[-1]
        curve = adaptation_curve(learner, cross_entropy, weights, task, draw, most)
        return curve["accuracy"][np.array(TUNE_STEPS)]

    given = (("test", parts.model), *parts.rivals)
    weights = [generated(model, params, support, draw) for _, model in given]
    weights.append(repeated(zoo["start"], len(support.targets)))
    each = jax.tree.map(lambda *leaves: jnp.stack(leaves), *weights)
    curves = jax.vmap(jax.vmap(tuned), (0, None, None))(each, support, query)
    whole = trained(parts, zoo["start"], conditions.unseen, derive(key, "train"))
    ways = conditions.unseen.tuples.shape[1]
    rows = {
        **dict(zip([*(name for name, _ in given), "start"], curves, strict=True)),
        "trained": accuracies(parts, whole, query),
        **jax.vmap(functools.partial(closed_forms, ways=ways))(support, query),
    }
    own = queries(conditions.zoo_test, derive(key, "zoo"), num)
    of_zoo, share = {"networks": accuracies(parts, zoo["networks"], own)}, None
    if parts.model.decoded is not None:
        flat = flat_weights(zoo["networks"])
        back = parts.model.decoded(state, flat)
        weights = jax.vmap(lambda row: weights_from(row, zoo["start"]))(back)
        of_zoo["decoded"] = accuracies(parts, weights, own)
        apart = jnp.sum(jnp.square(flat - jnp.mean(flat, axis=0)[None]))
        share = 1 - jnp.sum(jnp.square(flat - back)) / apart
    drawing = [(name, model) for name, model in given if model.draws]
    key = derive(key, "samples")
    samples = {name: together(parts, model, params, support, query, key) for name, model in drawing}
    return Measured(rows, of_zoo, samples, share)


TITLES = {
    "unmoved": "the same draws as published, not moved on the support",
    "moved_regression": "linear map, moved down the support's loss by as many steps",
    "solved_regression": "linear map, last layer solved for on the support",
    "weight_regression": "linear map from class means to weights",
    "nearest_network": "the zoo's network of the nearest task",
    "zoo_mean": "the mean of the zoo's networks",
    "start": "the zoo's initialization",
    "trained": "trained on all images of the task",
    "nearest_mean": "nearest class mean of the support",
    "ridge_classifier": "ridge classifier on the support",
}
"""Baselines of the table."""


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure accuracy on tuples of unseen classes; intervals are over the tuples.

    ``more`` holds the accuracy of the zoo's networks on their own tasks, what their code leaves of
    it, and the spread of several draws.
    """
    of = problem.settings
    found = jax.device_get(measured(method.parts, params, problem.conditions, of.eval_images))
    rows = {"test": Row(config.method, interval(found.rows["test"]))}
    for name, title in TITLES.items():
        if name in found.rows:  # a method is not compared with itself
            against = None if name == "trained" else ""  # it has seen more than the support
            score, baseline = interval(found.rows[name]), name != "unmoved"
            rows[name] = Row(title, score, baseline, compared_with=against)
    rows["chance"] = chance_row([1 / of.ways], len(found.rows["test"]))
    more: dict[str, Any] = {
        "zoo": {name: interval(scores)._asdict() for name, scores in found.zoo.items()},
        "samples": {
            row: {name: interval(scores)._asdict() for name, scores in samples.items()}
            for row, samples in found.samples.items()
        },
        "num_samples": SAMPLES,
    }
    if found.share is not None:
        more["variance_share"] = float(found.share)
    return Evaluation(
        rows,
        axis=problem.conditions.axis,
        points=problem.conditions.points,
        more=more,
    )


def on_unseen_tuples(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy on unseen tuples without a step."""
    found = at_once(method.parts, params, problem.conditions, key, problem.settings.eval_images)
    return interval(found).last()
