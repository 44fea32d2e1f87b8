"""Measure the accuracy on a stream of shifted images before each update."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.continual import (
    SHIFTS,
    Streamed,
    clean_accuracies,
    frozen,
    residual_bytes,
    run_stream,
)
from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.scores import Evaluation, Interval, Row, around, share_half_width
from metajax.systems.shift.problem import Problem

STREAM_KEY = 2303_01904
"""Seed of the stream: every run has the same one, whatever its seed."""


_clean = jax.jit(clean_accuracies, static_argnums=0)


@functools.partial(jax.jit, static_argnums=0)
def _streamed(online: Any, params: Params, stream: Any, key: Key[Array, ""]) -> Streamed:
    return run_stream(online, params, stream, key)[1]


def shares(values: Float[np.ndarray, "points ..."], batch: int) -> Interval:
    """Return mean accuracies with 95% intervals over the images behind them.

    Args:
      values: accuracies of batches, by point.
      batch: images of a batch.
    """
    flat = np.asarray(values, float).reshape(len(values), -1)
    mean, images = flat.mean(1), flat.shape[1] * batch
    return around(mean, share_half_width(mean, images), images)


def on_clean_images(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure the accuracy of the source network on clean images."""
    source, stream = frozen(problem.network, False), problem.stream
    found = np.asarray(_clean(source, params, stream, jax.random.key(STREAM_KEY)))
    return shares(found[None], stream.batch).last()


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
    stream, key, online = problem.stream, jax.random.key(STREAM_KEY), method.parts
    predictors = {
        "stream": (f"{config.method}, by round", online),
        "source": ("source network, no adaptation", frozen(problem.network, False)),
        "batch_statistics": ("batch statistics", frozen(problem.network, True)),
    }
    found = {name: _streamed(each, params, stream, key) for name, (_, each) in predictors.items()}
    before = {name: np.asarray(each.before_update, float) for name, each in found.items()}
    rows = {
        name: Row(title, shares(before[name], stream.batch), baseline=name != "stream")
        for name, (title, _) in predictors.items()
    }
    more: dict[str, Any] = {
        "kinds": list(SHIFTS),
        "before_update": before["stream"].tolist(),
        "by_kind": {name: values.mean(2).tolist() for name, values in before.items()},
        "clean": {name: float(np.mean(each.clean)) for name, each in found.items()},
    }
    if online.adaptation is not None:
        images = stream.clean(key, jnp.int32(0)).inputs
        more["kept_bytes"] = residual_bytes(online.adaptation, params, images)
    points = [float(place + 1) for place in range(stream.num_rounds)]
    return Evaluation(rows, axis="rounds", points=points, more=more)
