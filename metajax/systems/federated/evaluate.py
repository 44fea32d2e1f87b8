"""Measure how well classes are known as missions bring them, and what it takes to send them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax import continual
from metajax.core import Params
from metajax.systems.base import Method
from metajax.systems.federated.problem import Problem
from metajax.systems.parts import PIXELS
from metajax.systems.scores import Evaluation, Row, chance_row, interval

EVAL_KEY = 2109_00150
"""Seed of the missions that are evaluated on: the same for every run."""
ALONG = 4
"""Draws of the missions along training, at most."""

_merged = jax.jit(continual.score_merged, static_argnames=("embedding", "num"))
_all = jax.jit(continual.score_missions, static_argnames=("embedding", "num", "steps"))


def on_missions(
    problem: Problem, method: Method, params: Params, key: Key[Array, ""]
) -> dict[str, Any]:
    """Measure an embedding along training: the merged prototypes after all missions."""
    num = min(problem.settings.eval_draws, ALONG)
    found = _merged(method.parts, params, problem.field, jax.random.key(EVAL_KEY), num)
    return interval(found.known).last()


def evaluate(
    problem: Problem, method: Method, params: Params, config: Any, progress: bool
) -> Evaluation:
    """Measure the accuracy by known classes, compared with softmax heads and with raw images.

    ``more`` holds the accuracy of the server and of clients by groups of classes. It also has the
    bytes that clients send, and how far merged prototypes are from central ones.
    """
    of, field, key = problem.settings, problem.field, jax.random.key(EVAL_KEY)
    assert field is not None
    rate = jnp.float32(of.head_lr)
    found = jax.device_get(
        _all(method.parts, params, field, key, of.eval_draws, steps=of.head_steps, rate=rate)
    )
    raw = _merged(PIXELS, {}, field, key, of.eval_draws)
    size = jax.eval_shape(method.parts.apply, params, field.images[:1]).shape[1]
    points = [of.base_ways + stage * of.new_classes for stage in range(of.missions + 1)]
    scores = {
        "merged": (f"{config.method}, merged over clients", found.merged.known),
        "joint_head": ("softmax head, all examples so far", found.joint_head),
        "sequential_head": ("softmax head, mission after mission", found.sequential_head),
        "nearest_mean": ("nearest mean image", raw.known),
    }
    rows = {
        name: Row(title, interval(values), baseline=name == "nearest_mean")
        for name, (title, values) in scores.items()
    }
    rows["chance"] = chance_row([1 / classes for classes in points], of.eval_draws)
    a_class = continual.sent_bytes(1, size)
    more = {
        "server": means(found.merged),
        "client": means(found.clients),
        "central_difference": float(np.max(found.central_difference)),
        "numbers_a_class": size + 1,
        "bytes": {
            "sums": float(np.mean(found.classes_sent)) * a_class,
            "features": float(np.mean(found.examples)) * a_class,
        },
    }
    return Evaluation(rows, axis="known classes", points=list(map(float, points)), more=more)


def means(groups: continual.ClassGroups) -> dict[str, list[float]]:
    """Return means over draws, by group."""
    return {name: np.mean(values, 0).tolist() for name, values in groups._asdict().items()}
