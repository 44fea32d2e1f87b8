"""From a config to the inner problem, the online algorithm and the learner that uses its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from metajax.bilevel import (
    Batches,
    Hypergradient,
    InnerProblem,
    OnlineParams,
    descend,
    full_batches,
    hypergradient,
    inner_learner,
    minibatches,
    online,
    random_search,
)
from metajax.core import (
    Algorithm,
    Examples,
    MetaLearner,
    Params,
    accuracy,
    check_labels,
    checked_learner,
)
from metajax.data import crop_and_flip
from metajax.nn import conv_net
from metajax.systems.hyperdistill.config import Config
from metajax.systems.hyperdistill.network import regress, regressor, warped, weigher

OUTER_MOMENTUM = 0.9


class Bed(NamedTuple):
    """A test-bed.

    Attributes:
      problem: the inner optimisation.
      init: ``init(key, task) -> OnlineParams``.
      predict: ``predict(state, hparams, inputs) -> outputs``.
      score: ``score(state, hparams, query) -> scalar``, what tables show: the mean squared error on
        sinusoids, the accuracy on images.
      inner_batches: how a task's support becomes inner steps.
      outer_batches: the same of its query for the outer loss.
    """

    problem: InnerProblem
    init: Callable[[Key[Array, ""], Any], OnlineParams]
    predict: Callable[[PyTree, PyTree, Any], Any]
    score: Callable[[PyTree, PyTree, Examples], Float[Array, ""]]
    inner_batches: Batches
    outer_batches: Batches


def make_bed(config: Config) -> Bed:
    """Make the bed that the config names."""
    return _sinusoid(config) if config.bed == "sinusoid" else _images(config)


def _sinusoid(config: Config) -> Bed:
    """Fit the head by SGD with momentum; score it by the mean squared error of the query."""

    def squared_error(head, body, batch: Examples):
        return jnp.mean(jnp.square(regress(body, head, batch.inputs) - batch.targets))

    optimizer = optax.sgd(config.inner_lr, config.momentum)
    problem = descend(squared_error, squared_error, optimizer)
    return Bed(
        problem=problem,
        init=lambda key, task: regressor(config.width, config.layers, key),
        predict=lambda state, body, inputs: regress(body, state.params, inputs),
        score=problem.outer_loss,
        inner_batches=full_batches,
        outer_batches=full_batches,
    )


def _images(config: Config) -> Bed:
    """Classify images by a convolutional network whose batches are normalised by themselves."""
    parts = _parts(config)

    def each_loss(w, hparams, batch: Examples) -> Float[Array, " n"]:
        logits = parts.apply(parts.join(w, hparams), batch.inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)

    def loss(w, hparams, batch: Examples) -> Float[Array, ""]:
        return jnp.mean(each_loss(w, hparams, batch))

    def weighted(w, hparams, batch: Examples) -> Float[Array, ""]:
        losses = each_loss(w, hparams, batch)
        weights = weigher(config.width).apply(hparams, jax.lax.stop_gradient(losses))
        return jnp.mean(weights * losses)

    def score(state, hparams, query: Examples) -> Float[Array, ""]:
        size = min(config.batch_size, query.targets.shape[0])
        whole = query.targets.shape[0] // size * size  # batches alike, as batch statistics want
        batches = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, size, *leaf.shape[1:]), query)

        def right(batch: Examples) -> Float[Array, ""]:
            logits = parts.apply(parts.join(state.params, hparams), batch.inputs)
            return accuracy(logits, batch.targets)

        return jnp.mean(jax.lax.map(right, batches))

    draw = minibatches(config.batch_size)

    def augmented(examples: Examples, key: Key[Array, ""], num: int) -> Examples:
        draw_key, move_key = jax.random.split(key)
        batches = draw(examples, draw_key, num)
        images = jax.lax.collapse(batches.inputs, 0, 2)
        moved = crop_and_flip(images, move_key, crop=config.crop, flip=config.flip)
        return batches._replace(inputs=moved.reshape(batches.inputs.shape))

    return Bed(
        problem=descend(
            weighted if config.bed == "weights" else loss,
            loss,
            optax.sgd(config.inner_lr, config.momentum),
        ),
        init=lambda key, task: parts.draw(key, task.support.inputs[:1]),
        predict=lambda state, hparams, inputs: parts.apply(
            parts.join(state.params, hparams), inputs
        ),
        score=score,
        inner_batches=augmented if config.crop or config.flip else draw,
        outer_batches=draw,
    )


class Parts(NamedTuple):
    """An image bed's network: whole, and how it is made of what a task fits and hyperparameters.

    Attributes:
      apply: ``apply(params, images) -> logits``.
      join: ``join(w, hparams) -> params``.
      draw: ``draw(key, images) -> OnlineParams``, the images there for their shape.
    """

    apply: Callable[[Params, Array], Array]
    join: Callable[[Params, PyTree], Params]
    draw: Callable[[Key[Array, ""], Array], OnlineParams]


def _parts(config: Config) -> Parts:
    sizes = {"channels": config.channels, "layers": config.layers}
    network = conv_net(config.ways, **sizes)
    last = (f"conv_{config.layers - 1}", "head")

    def lower_blocks(key, images):
        params = network.init(key, images)
        start = {name: params.pop(name) for name in last}
        return OnlineParams(hparams=params, start=start)

    def warp_layers(key, images):
        params = with_warps.init(key, images)
        return OnlineParams(hparams=params["warp"], start=params["fit"])

    def weights(key, images):
        weigher_key, key = jax.random.split(key)
        return OnlineParams(weigher(config.width).init(weigher_key), network.init(key, images))

    if config.bed == "anil":
        return Parts(network.apply, lambda w, hparams: {**hparams, **w}, lower_blocks)
    if config.bed == "weights":
        return Parts(network.apply, lambda w, hparams: w, weights)
    with_warps = warped(config.ways, **sizes)
    return Parts(with_warps.apply, lambda w, hparams: {"fit": w, "warp": hparams}, warp_layers)


def make_estimator(config: Config) -> Hypergradient:
    """The hypergradient that the config names, with the options that it has.

    As in the paper, HyperDistill's second-order term has norm 1 on the bed `weights`, where there
    is no first-order term beside it.
    """
    scale = "unit" if config.bed == "weights" else "distilled"
    options: dict[str, dict[str, Any]] = {
        "distilled": {"gamma": config.gamma, "scale": scale},
        "neumann": {"terms": config.terms},
        "es": {"sigma": config.sigma, "pairs": config.pairs},
        "pes": {"sigma": config.sigma, "pairs": config.pairs},
    }
    return hypergradient(config.method, **options.get(config.method, {}))


def make_problem(config: Config) -> InnerProblem:
    """The bed's inner optimisation."""
    return make_bed(config).problem


def make_algorithm(config: Config) -> Algorithm:
    """The online algorithm, or random search: one or the other, and Reptile beside."""
    bed = make_bed(config)
    # one after the other where each task's own kernels would make batched products slow
    on_cpu = config.bed != "sinusoid" and jax.default_backend() == "cpu"
    tasks_at_once = 1 if on_cpu else None
    if config.method == "random_search":
        return random_search(
            bed.problem,
            init=bed.init,
            inner_batches=bed.inner_batches,
            outer_batches=bed.outer_batches,
            inner_steps=config.inner_steps,
            reptile_rate=config.reptile_rate,
            trial_steps=config.trial_steps,
            tasks_at_once=tasks_at_once,
        )
    rate: Any = config.outer_lr
    if config.outer_decay:
        updates = config.steps * config.inner_steps // config.every
        rate = optax.linear_schedule(config.outer_lr, 0.0, updates)
    optimizers = {"adam": optax.adam(rate), "sgd": optax.sgd(rate, OUTER_MOMENTUM)}
    return online(
        make_estimator(config),
        bed.problem,
        optimizers[config.outer_optimizer],
        init=bed.init,
        inner_batches=bed.inner_batches,
        outer_batches=bed.outer_batches,
        inner_steps=config.inner_steps,
        every=config.every,
        reptile_rate=config.reptile_rate,
        calibrate_every=config.calibrate_every,
        tasks_at_once=tasks_at_once,
    )


def make_learner(config: Config) -> MetaLearner:
    """Fit a new task with the hyperparameters held still."""
    bed = make_bed(config)
    learner = inner_learner(
        bed.problem,
        bed.predict,
        init=bed.init,
        inner_batches=bed.inner_batches,
        inner_steps=config.inner_steps,
    )

    def check(field: str, examples: Examples) -> None:
        if config.bed != "sinusoid":
            check_labels(f"{field}.targets", examples.targets, config.ways)

    checked = checked_learner(learner, check)
    # the regressor is made from no task
    return checked._replace(init=bed.init) if config.bed == "sinusoid" else checked
