"""How a learner of tables is used on a table of a person's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, described
from metajax.data import number_target
from metajax.systems.base import Use
from metajax.systems.tables.model import Maker, Model, learner_of
from metajax.systems.tables.predicting import read_for, told_of_table
from metajax.systems.tables.reading import LARGEST, read_table
from metajax.using import (
    Adapted,
    Told,
    check_no_steps,
    read_labeled,
    read_numbers,
    support_pair,
)

NUMBERS = (
    "metajax predict --shipped and metajax.systems.tables.InContextRegressor predict numbers, "
    "without a run"
)
"""What errors say of numbers, which no method of the family predicts."""


def _encode(field: str, inputs: Any) -> Float[np.ndarray, "rows features"]:
    """Return rows of numbers, NaN where a value is missing.

    Raises:
      ConfigError: they are something else.
    """
    rows = read_numbers(field, inputs, (2,), "rows of numbers [rows, features]")
    return rows.astype(np.float64)


@functools.lru_cache(maxsize=64)
def _function(maker: Maker, features: int, classes: int) -> Callable[..., Any]:
    """Return ``function(state, rows) -> probabilities``, the same one for equal arguments."""
    learner = learner_of(maker)

    def function(state: Any, rows: Float[Array, "rows features"]) -> Float[Array, "rows classes"]:
        params, adapted, shift, factor = state
        scaled = jnp.clip((rows - shift[None]) * factor[None], -1e6, 1e6)
        scaled = jnp.where(jnp.isnan(scaled), 0, scaled)
        padded = jnp.pad(scaled, [(0, 0), (0, features - rows.shape[1])])
        likely = jnp.exp(learner.predict(params, adapted, padded)[:, :classes])
        return likely / jnp.sum(likely, axis=1, keepdims=True)

    return function


def adapt(run: Any, support: Any, key: Any, steps: int | None) -> Adapted:
    """Read rows and their labels: any number of features, and of classes.

    Raises:
      ConfigError: they are no rows and labels, more than can be read, or ``steps`` are asked for.
    """
    check_no_steps(steps)
    return read_by(Model(run.config, run.params, {}), support)


def read_by(model: Model, support: Any) -> Adapted:
    """Read rows and their labels by a learner with its parameters.

    Raises:
      ConfigError: they are no rows and labels, or more than can be read.
    """
    targets = np.asarray(support_pair(support, "(inputs, labels)")[1])
    if targets.dtype.kind == "f":
        raise ConfigError("support.targets", described(targets), f"classes; {NUMBERS}")
    rows, names = read_labeled(support, _encode, LARGEST)
    table = read_table(model, rows, names.places)
    scale = (jnp.asarray(each, jnp.float32) for each in (table.shift, table.factor))
    return Adapted(
        _function(table.maker, table.features, table.classes),
        (table.params, table.state, *scale),
        jax.ShapeDtypeStruct((rows.shape[1],), jnp.float32),
        _encode32,
        names.label,
    )


def _encode32(inputs: Any) -> Float[np.ndarray, "rows features"]:
    return _encode("inputs", inputs).astype(np.float32)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict a column of classes of a CSV table.

    Raises:
      ConfigError: the column is of numbers, the table is not in order, or ``steps`` are asked for.
    """
    check_no_steps(steps)
    frame, column = read_for(path, target)
    if number_target(frame, column) is not None:
        raise ConfigError("--target", f"{column}, of numbers", f"a column of classes; {NUMBERS}")
    model = Model(run.config, run.params, {})
    return told_of_table(frame, column, 0, model, functools.partial(read_by, model))


use = Use(adapt, files)
"""A table is read, and a column of it predicted."""
