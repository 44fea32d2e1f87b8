"""Predictors that may adapt to a stream of unlabeled batches, and how well they predict it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int32, Key

from metajax.continual.shifts import SHIFTS, shift_images
from metajax.core import ConfigError, Examples, Params, accuracy, derive, register_dataclass
from metajax.data import ImagePool


class Adaptation(NamedTuple):
    """What is adapted at test time, and by which loss.

    Attributes:
      adapted: ``adapted(params) -> at``, where the adapted parameters start, of what was trained.
      loss: ``loss(at, params, images) -> (loss, logits)``, without labels; the logits are those at
        ``at``.
    """

    adapted: Callable[[Any], Params]
    loss: Callable[..., tuple[Float[Array, ""], Float[Array, "n classes"]]]


class Online(NamedTuple):
    """A predictor of a stream of unlabeled batches.

    Attributes:
      init: ``init(params) -> state``, from what was trained.
      step: ``step(state, images) -> (state, logits)``; the logits are predicted before the state
        changes.
      adaptation: what it adapts in its steps; None: no parameters.
    """

    init: Callable[[Params], Any]
    step: Callable[[Any, Float[Array, "n h w c"]], tuple[Any, Float[Array, "n classes"]]]
    adaptation: Adaptation | None = None


@register_dataclass
@dataclass(frozen=True)
class ShiftStream:
    """Batches of shifted images: all kinds of shift one after another, several rounds of them.

    Each pass through a kind has the images in a new order, and none of them twice. What is left
    over when a batch is full is not used.

    Attributes:
      images: held-out images.
      mean: of the levels that the network was trained on.
      std: of these levels.
      severity: of the shifts.
      batch: images of a batch. Static.
      batches: of a kind in a round. Static.
      num_rounds: of all kinds. Static.
    """

    images: ImagePool
    mean: Float[Array, ""]
    std: Float[Array, ""]
    severity: Float[Array, ""]
    batch: int = field(metadata={"static": True})
    batches: int = field(metadata={"static": True})
    num_rounds: int = field(metadata={"static": True})

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rounds, kinds and batches."""
        return self.num_rounds, len(SHIFTS), self.batches

    def __call__(self, key: Key[Array, ""], step: Int32[Array, ""]) -> Examples:
        """Return one batch, inputs normalized, ``step`` counted from 0."""
        number, place = step // self.batches, step % self.batches
        kind = number % len(SHIFTS)
        levels, labels = self._drawn(derive(key, "order", number), place)
        shifted = shift_images(levels, kind, self.severity, derive(key, "shift", step))
        return Examples((shifted - self.mean) / self.std, labels)

    def clean(self, key: Key[Array, ""], step: Int32[Array, ""]) -> Examples:
        """Return one batch of images as they are."""
        levels, labels = self._drawn(derive(key, "clean"), step)
        return Examples((levels - self.mean) / self.std, labels)

    def _drawn(self, key: Any, place: Array) -> tuple[Array, Array]:
        order = jax.random.permutation(key, len(self.images.labels))
        rows = jax.lax.dynamic_slice_in_dim(order, place * self.batch, self.batch)
        levels = self.images.images[rows].astype(jnp.float32) / 255
        return levels, self.images.labels[rows].astype(jnp.int32)


def shift_stream(
    train: ImagePool,
    held_out: ImagePool,
    severity: float,
    *,
    batch: int = 64,
    images_per_shift: int = 640,
    num_rounds: int = 3,
) -> ShiftStream:
    """Make a stream of shifted images.

    Args:
      train: the images that the network was trained on, whose statistics normalize the levels.
      held_out: the images of the stream.
      severity: of the shifts, 0 to 5.
      batch: images of a batch.
      images_per_shift: of a kind in a round; the last partial batch is dropped.
      num_rounds: of all kinds.

    Returns:
      The stream.

    Raises:
      ConfigError: a batch is larger than what it is taken from, a number is below 1, or there is no
        such severity.
    """
    if not 0 <= severity <= 5:
        raise ConfigError("severity", severity, "0 to 5")
    for name, value in (("batch", batch), ("num_rounds", num_rounds)):
        if value < 1:
            raise ConfigError(name, value, "1 or more")
    most = len(held_out.labels)
    if not batch <= images_per_shift <= most:
        expected = f"{batch}, a batch, to {most}, the held-out images"
        raise ConfigError("images_per_shift", images_per_shift, expected)
    return ShiftStream(
        held_out,
        train.mean,
        train.std,
        jnp.float32(severity),
        batch,
        images_per_shift // batch,
        num_rounds,
    )


class Streamed(NamedTuple):
    """How well a stream was predicted.

    Attributes:
      before_update: accuracy on each batch, predicted before the predictor changed by it.
      clean: accuracy on images as they are, by the predictor as the stream left it.
    """

    before_update: Float[Array, "rounds kinds batches"]
    clean: Float[Array, " batches"]


def run_stream(
    online: Online, params: Params, stream: ShiftStream, key: Key[Array, ""]
) -> tuple[Any, Streamed]:
    """Predict a stream batch after batch, then clean images.

    Args:
      online: the predictor.
      params: what was trained.
      stream: of batches.
      key: of the order of the images and of the shifts.

    Returns:
      The predictor's state after the stream, and the accuracies. Clean images do not change the
      state.
    """

    def one(state: Any, step: Array) -> tuple[Any, Array]:
        examples = stream(key, step)
        state, logits = online.step(state, examples.inputs)
        return state, accuracy(logits, examples.targets)

    rounds, kinds, batches = stream.shape
    steps = jnp.arange(rounds * kinds * batches, dtype=jnp.int32)
    state, found = jax.lax.scan(one, online.init(params), steps)
    clean = clean_accuracies(online, state, stream, key)
    return state, Streamed(found.reshape(stream.shape), clean)


def clean_accuracies(
    online: Online, state: Any, stream: ShiftStream, key: Key[Array, ""]
) -> Float[Array, " batches"]:
    """Return the accuracy on each batch of a stream's images as they are.

    Args:
      online: the predictor.
      state: of it, which no batch changes.
      stream: whose images are predicted.
      key: of their order.
    """

    def clean(step: Array) -> Array:
        examples = stream.clean(key, step)
        return accuracy(online.step(state, examples.inputs)[1], examples.targets)

    return jax.lax.map(clean, jnp.arange(len(stream.images.labels) // stream.batch))
