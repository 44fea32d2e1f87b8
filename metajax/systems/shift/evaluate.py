"""Measure the accuracy on a stream of shifted images before each update."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.continual import SHIFTS, Streamed, frozen, residual_bytes, run_stream
from metajax.core import Params, accuracy
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Interval, Row
from metajax.systems.shift.problem import Problem

STREAM_KEY = 2303_01904
"""Seed of the stream: every run has the same one, whatever its seed."""


@functools.partial(jax.jit, static_argnums=0)
def _streamed(online: Any, params: Params, stream: Any, key: Key[Array, ""]) -> Streamed:
    return run_stream(online, params, stream, key)[1]


@functools.partial(jax.jit, static_argnums=0)
def _clean(network: Any, params: Any, stream: Any) -> Float[Array, " batches"]:
    def one(step: Array) -> Array:
        examples = stream.clean(jax.random.key(STREAM_KEY), step)
        logits = network.apply(params.network, params.averages, examples.inputs, False)[0]
        return accuracy(logits, examples.targets)

    return jax.lax.map(one, jnp.arange(len(stream.images.labels) // stream.batch))


def shares(values: Float[np.ndarray, "points ..."], batch: int) -> Interval:
    """Return mean accuracies with 95% intervals over the images behind them.

    Args:
      values: accuracies of batches, by point.
      batch: images of a batch.
    """
    flat = np.asarray(values, float).reshape(len(values), -1)
    images = flat.shape[1] * batch
    mean = flat.mean(1)
    half = 1.96 * np.sqrt(mean * (1 - mean) / images)
    return Interval(mean.tolist(), (mean - half).tolist(), (mean + half).tolist(), images)


def on_clean_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy of the source network on clean images."""
    found = np.asarray(_clean(problem.network, params, problem.stream))
    return shares(found[None], problem.stream.batch).last()


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy on the stream by round.

    ``more`` holds the method's accuracy before each update (``before_update``, by round, kind and
    batch) and the names of the kinds. The means by kind (``by_kind``, by round) and the accuracy on
    clean images after the stream (``clean``) are also those of the two baselines. A method that
    adapts parameters has the bytes of activations that a step keeps for its gradient too
    (``kept_bytes``).
    """
    stream, key, parts = problem.stream, jax.random.key(STREAM_KEY), method.parts
    found = {
        name: _streamed(frozen(problem.network, use_batch), params, stream, key)
        for name, use_batch in (("source", False), ("batch_statistics", True))
    }
    own = found.get(config.method) or _streamed(parts.online, params, stream, key)
    found = {"stream": own, **found}
    titles = {
        "stream": f"{config.method}, by round",
        "source": "source network, no adaptation",
        "batch_statistics": "batch statistics",
    }
    rows = {
        name: Row(
            titles[name],
            shares(np.asarray(streamed.before_update), stream.batch),
            baseline=name != "stream",
        )
        for name, streamed in found.items()
    }
    before = {name: np.asarray(each.before_update, float) for name, each in found.items()}
    more: dict[str, Any] = {
        "kinds": list(SHIFTS),
        "before_update": before["stream"].tolist(),
        "by_kind": {name: values.mean(2).tolist() for name, values in before.items()},
        "clean": {name: float(np.mean(each.clean)) for name, each in found.items()},
    }
    if parts.adaptation is not None:
        images = stream.clean(key, jnp.int32(0)).inputs
        more["kept_bytes"] = residual_bytes(parts.adaptation, params, images)
    points = [float(place + 1) for place in range(stream.num_rounds)]
    return Evaluation(rows, axis="rounds", points=points, more=more)
