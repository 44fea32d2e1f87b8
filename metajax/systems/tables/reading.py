"""A learner of tables on arrays of any size, padded to few sizes: few programs are compiled."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from metajax.core import ConfigError, Examples, MetaLearner, Params
from metajax.data import MISSING, shift_and_factor
from metajax.systems.tables.model import Maker, Model, learner_of

SIZES = (16, 48, 128, 384, 1024, 2048)
"""Rows that a table is padded to; time grows with their cube, memory with their square."""
LARGEST = SIZES[-1]
"""Rows that are learned from, at most."""
AT_ONCE = 256
"""Rows that are predicted at once: a bound on memory."""


class Table(NamedTuple):
    """A table that was read.

    Attributes:
      maker: of the learner that read it; its number of classes is padded.
      params: the learner's parameters.
      state: what it keeps of the table.
      shift: what is taken from each feature first, in float64.
      factor: what each feature is then multiplied by; 0 for features that do not vary.
      features: how many the reader sees: padded.
      classes: how many there are.
    """

    maker: Maker
    params: Params
    state: Any
    shift: Float[np.ndarray, " features"]
    factor: Float[np.ndarray, " features"]
    features: int
    classes: int

    def standardized(self, inputs: Float[np.ndarray, "rows features"]) -> Any:
        """Return rows as the reader sees them; missing values are the features' means."""
        return pad(standardized(inputs, self.shift, self.factor), 1, self.features)

    def probabilities(
        self, inputs: Float[np.ndarray, "rows features"]
    ) -> Float[np.ndarray, "rows classes"]:
        """Predict rows, in parts of bounded size; NaN is a missing value."""
        parts = [np.zeros((0, self.classes))]
        for first in range(0, len(inputs), AT_ONCE):
            rows = self.standardized(inputs[first : first + AT_ONCE])
            asked = pad(rows, 0, AT_ONCE).astype(np.float32)
            found = np.asarray(
                _predict(learner_of(self.maker), self.params, self.state, asked), np.float64
            )
            parts.append(np.exp(found[: len(rows), : self.classes]))
        likely = np.concatenate(parts)
        return likely / likely.sum(axis=1, keepdims=True)


def read_table(
    model: Model, inputs: Float[np.ndarray, "rows features"], labels: Int[np.ndarray, " rows"]
) -> Table:
    """Read a table: nothing is trained.

    Features are standardized by these rows, missing values counted out. Rows, features and classes
    are padded to few numbers of them.

    Args:
      model: a learner with its parameters.
      inputs: numbers, NaN where a value is missing.
      labels: whole numbers from 0; every class up to the largest has a row.

    Returns:
      The table, which predicts further rows.

    Raises:
      ConfigError: no rows, more than :data:`LARGEST`, or a value that is infinite.
    """
    rows = len(labels)
    if not 1 <= rows <= LARGEST:
        raise ConfigError("rows", rows, f"1 to {LARGEST} rows to learn from")
    shift, factor = standards(inputs)
    classes, features = int(labels.max()) + 1, padded(inputs.shape[1], 8)
    maker = model.maker(2 if classes <= 2 else padded(classes, 4))
    table = Table(maker, model.params, None, shift, factor, features, classes)
    size = next(size for size in SIZES if size >= rows)
    support = Examples(
        pad(table.standardized(inputs), 0, size).astype(np.float32),
        pad(labels + 1, 0, size).astype(np.int32) - 1,
    )
    assert MISSING == -1
    return table._replace(state=_adapt(learner_of(maker), model.params, support))


def standards(
    inputs: Float[np.ndarray, "rows features"],
) -> tuple[Float[np.ndarray, " features"], Float[np.ndarray, " features"]]:
    """Return what to take from each feature, and by what to multiply it then.

    Missing values (NaN) are counted out; the factor of a feature that does not vary is 0.

    Raises:
      ConfigError: a value is infinite.
    """
    if np.isinf(inputs).any():
        raise ConfigError("inputs", "infinite values", "numbers, or NaN for missing values")
    return shift_and_factor(inputs, 0, 1e-10, 1e-100)


def standardized(
    inputs: Float[np.ndarray, "rows features"],
    shift: Float[np.ndarray, " features"],
    factor: Float[np.ndarray, " features"],
) -> Float[np.ndarray, "rows features"]:
    """Return rows standardized by :func:`standards`; missing values are the features' means."""
    return np.nan_to_num(np.clip((inputs - shift) * factor, -1e6, 1e6), nan=0.0)


def padded(size: int, least: int) -> int:
    """Return the next of ``least``, four times that, and so on."""
    while least < size:
        least *= 4
    return least


def pad(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Return an array with zeros behind, along an axis."""
    behind = [(0, 0)] * array.ndim
    behind[axis] = (0, size - array.shape[axis])
    return np.pad(array, behind)


@functools.partial(jax.jit, static_argnums=0)
def _adapt(learner: MetaLearner, params: Params, support: Examples) -> Any:
    return learner.adapt(params, support, jax.random.key(0))


@functools.partial(jax.jit, static_argnums=0)
def _predict(learner: MetaLearner, params: Params, state: Any, inputs: Any) -> Any:
    return learner.predict(params, state, jnp.asarray(inputs))
