"""How a trained reader is used on a table of a person's own."""

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
from metajax.systems.base import Use
from metajax.systems.tables.model import Model, learner_of
from metajax.systems.tables.predicting import told_of_table
from metajax.systems.tables.reading import LARGEST, read_table
from metajax.systems.using.adapted import Adapted, Told, check_no_steps
from metajax.systems.using.classes import read_labeled


def model_of(run: Any) -> Model:
    """Return the reader of a run.

    Raises:
      ConfigError: the run is by another method.
    """
    if run.config.method != "reader":
        raise ConfigError("method", run.config.method, "reader, which reads tables of any size")
    return Model(run.config, run.params, {})


def _encode(field: str, inputs: Any) -> Float[np.ndarray, "rows features"]:
    """Return rows of numbers, NaN where a value is missing.

    Raises:
      ConfigError: they are something else.
    """
    array = np.asarray(inputs)
    if array.dtype.kind not in "biuf" or array.ndim != 2:
        raise ConfigError(field, described(array), "rows of numbers [rows, features]")
    return array.astype(np.float64)


@functools.lru_cache(maxsize=64)
def _function(sizes: tuple[int, int, int], features: int, classes: int) -> Callable[..., Any]:
    """Return ``function(state, rows) -> probabilities``, the same one for equal arguments."""
    learner = learner_of(*sizes)

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
    return read_by(model_of(run), support)


def read_by(model: Model, support: Any) -> Adapted:
    """Read rows and their labels by any reader.

    Raises:
      ConfigError: they are no rows and labels, or more than can be read.
    """
    rows, names = read_labeled(support, _encode, LARGEST)
    table = read_table(model, rows, names.places)
    scale = (jnp.asarray(each, jnp.float32) for each in (table.shift, table.factor))
    return Adapted(
        _function(table.sizes, table.features, table.classes),
        (table.params, table.state, *scale),
        jax.ShapeDtypeStruct((rows.shape[1],), jnp.float32),
        _encode32,
        names.label,
    )


def _encode32(inputs: Any) -> Float[np.ndarray, "rows features"]:
    return _encode("inputs", inputs).astype(np.float32)


def files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Predict a column of a CSV table."""
    check_no_steps(steps)
    model = model_of(run)
    return told_of_table(path, target, 0, model, functools.partial(read_by, model))


READING = Use(adapt, files)


def use(config: Any) -> Use:
    """Read a table, and predict a column of it."""
    return READING
