"""The test-beds: what a task fits, what is hyperparameter, and the inner optimization between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from metajax.bilevel import (
    Batches,
    InnerProblem,
    OnlineParams,
    descend,
    full_batches,
    inner_learner,
    minibatches,
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
from metajax.systems.hyperdistill.network import regress, regressor, warped, weigher
from metajax.systems.hyperdistill.settings import Settings


class Testbed(NamedTuple):
    """A test-bed.

    Attributes:
      inner: the inner optimization.
      init: ``init(key, task) -> OnlineParams``.
      predict: ``predict(state, hparams, inputs) -> outputs``.
      score: ``score(state, hparams, query) -> scalar``, what tables show: the mean squared error on
        sinusoids, the accuracy on images.
      inner_batches: how a task's support becomes inner steps.
      outer_batches: the same of its query for the outer loss.
      inner_steps: of an inner optimization.
      ways: classes of a task; None on sinusoids.
    """

    inner: InnerProblem
    init: Callable[[Key[Array, ""], Any], OnlineParams]
    predict: Callable[[PyTree, PyTree, Any], Any]
    score: Callable[[PyTree, PyTree, Examples], Float[Array, ""]]
    inner_batches: Batches
    outer_batches: Batches
    inner_steps: int
    ways: int | None = None

    def tuned(self, rule: Callable[..., Algorithm], **options: Any) -> Algorithm:
        """Return the algorithm that tunes its hyperparameters.

        Args:
          rule: :func:`metajax.bilevel.online` with its estimator and its optimizer, or another
            algorithm of the same inner optimizations.
          options: more of ``rule``.
        """
        return rule(
            problem=self.inner,
            init=self.init,
            inner_batches=self.inner_batches,
            outer_batches=self.outer_batches,
            inner_steps=self.inner_steps,
            **options,
        )

    def learner(self) -> MetaLearner:
        """Return the learner that fits a new task with the hyperparameters held still."""
        learner = inner_learner(
            self.inner,
            self.predict,
            init=self.init,
            inner_batches=self.inner_batches,
            inner_steps=self.inner_steps,
        )

        def check(field: str, examples: Examples) -> None:
            if self.ways is not None:
                check_labels(f"{field}.targets", examples.targets, self.ways)

        checked = checked_learner(learner, check)
        # the regressor is made from no task
        return checked._replace(init=self.init) if self.ways is None else checked


def make_testbed(settings: Settings) -> Testbed:
    """Make the test-bed of some settings, whose ``inner_lr`` and ``momentum`` may be traced.

    Args:
      settings: of the problem.

    Returns:
      The test-bed.
    """
    return _images(settings) if settings.images else _sinusoid(settings)


def _sinusoid(settings: Settings) -> Testbed:
    """Fit the head by SGD with momentum; score it by the mean squared error of the query."""

    def squared_error(head, body, batch: Examples):
        return jnp.mean(jnp.square(regress(body, head, batch.inputs) - batch.targets))

    optimizer = optax.sgd(settings.inner_lr, settings.momentum)
    inner = descend(squared_error, squared_error, optimizer)
    return Testbed(
        inner=inner,
        init=lambda key, task: regressor(settings.width, settings.layers, key),
        predict=lambda state, body, inputs: regress(body, state.params, inputs),
        score=inner.outer_loss,
        inner_batches=full_batches,
        outer_batches=full_batches,
        inner_steps=settings.inner_steps,
    )


def _images(settings: Settings) -> Testbed:
    """Classify images by a convolutional network whose batches are normalized by themselves."""
    parts = _parts(settings)

    def each_loss(w, hparams, batch: Examples) -> Float[Array, " n"]:
        logits = parts.apply(parts.join(w, hparams), batch.inputs)
        return optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)

    def loss(w, hparams, batch: Examples) -> Float[Array, ""]:
        return jnp.mean(each_loss(w, hparams, batch))

    def weighted(w, hparams, batch: Examples) -> Float[Array, ""]:
        losses = each_loss(w, hparams, batch)
        weights = weigher(settings.width).apply(hparams, jax.lax.stop_gradient(losses))
        return jnp.mean(weights * losses)

    def score(state, hparams, query: Examples) -> Float[Array, ""]:
        size = min(settings.batch_size, query.targets.shape[0])
        whole = query.targets.shape[0] // size * size  # batches alike, as batch statistics want
        batches = jax.tree.map(lambda leaf: leaf[:whole].reshape(-1, size, *leaf.shape[1:]), query)

        def right(batch: Examples) -> Float[Array, ""]:
            logits = parts.apply(parts.join(state.params, hparams), batch.inputs)
            return accuracy(logits, batch.targets)

        return jnp.mean(jax.lax.map(right, batches))

    draw = minibatches(settings.batch_size)

    def augmented(examples: Examples, key: Key[Array, ""], num: int) -> Examples:
        draw_key, move_key = jax.random.split(key)
        batches = draw(examples, draw_key, num)
        images = jax.lax.collapse(batches.inputs, 0, 2)
        moved = crop_and_flip(images, move_key, crop=settings.crop, flip=settings.flip)
        return batches._replace(inputs=moved.reshape(batches.inputs.shape))

    return Testbed(
        inner=descend(
            weighted if settings.testbed == "weights" else loss,
            loss,
            optax.sgd(settings.inner_lr, settings.momentum),
        ),
        init=lambda key, task: parts.draw(key, task.support.inputs[:1]),
        predict=lambda state, hparams, inputs: parts.apply(
            parts.join(state.params, hparams), inputs
        ),
        score=score,
        inner_batches=augmented if settings.crop or settings.flip else draw,
        outer_batches=draw,
        inner_steps=settings.inner_steps,
        ways=settings.ways,
    )


class Parts(NamedTuple):
    """The network of images: whole, and made of what a task fits and hyperparameters.

    Attributes:
      apply: ``apply(params, images) -> logits``.
      join: ``join(w, hparams) -> params``.
      draw: ``draw(key, images) -> OnlineParams``, the images there for their shape.
    """

    apply: Callable[[Params, Array], Array]
    join: Callable[[Params, PyTree], Params]
    draw: Callable[[Key[Array, ""], Array], OnlineParams]


def _parts(settings: Settings) -> Parts:
    sizes: dict[str, Any] = {"channels": settings.channels, "layers": settings.layers}
    network = conv_net(settings.ways, **sizes)
    last = (f"conv_{settings.layers - 1}", "head")

    def lower_blocks(key, images):
        params = network.init(key, images)
        start = {name: params.pop(name) for name in last}
        return OnlineParams(hparams=params, start=start)

    def warp_layers(key, images):
        params = with_warps.init(key, images)
        return OnlineParams(hparams=params["warp"], start=params["fit"])

    def weights(key, images):
        weigher_key, key = jax.random.split(key)
        return OnlineParams(weigher(settings.width).init(weigher_key), network.init(key, images))

    if settings.testbed == "anil":
        return Parts(network.apply, lambda w, hparams: {**hparams, **w}, lower_blocks)
    if settings.testbed == "weights":
        return Parts(network.apply, lambda w, hparams: w, weights)
    with_warps = warped(settings.ways, **sizes)
    return Parts(with_warps.apply, lambda w, hparams: {"fit": w, "warp": hparams}, warp_layers)
