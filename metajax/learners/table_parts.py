"""What learners of tables share: standardized rows, rows that are not there, and the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer, Key

from metajax.core import (
    ConfigError,
    Examples,
    MetaLearner,
    Params,
    Task,
    check_labels,
    checked_learner,
    described,
)

FAR = 4.0
"""Standard deviations at which a value is squashed, so that no row is all that counts."""
BENDS = (-1.5, -0.75, 0.0, 0.75, 1.5)
"""Where the bent copies of a standardized feature are centered."""
LEAST = 1e-9
"""No probability is smaller: a class that is absent has this one."""


class View(NamedTuple):
    """Rows as vectors, what a kernel sees of a table.

    Attributes:
      plain: standardized features.
      bent: of each feature a few smooth steps, so that linear functions of these are sums of
        functions of one feature.
    """

    plain: Float[Array, "rows features"]
    bent: Float[Array, "rows more"]


class Scales(NamedTuple):
    """How a table is standardized, by its known rows alone; 0 for a column that does not vary."""

    mean: Float[Array, " features"]
    factor: Float[Array, " features"]
    plain: Float[Array, ""]
    bent: Float[Array, ""]


def scales_of(inputs: Float[Array, "rows features"], known: Bool[Array, " rows"]) -> Scales:
    """Return how to standardize a table by its known rows."""
    here = known.astype(inputs.dtype)[:, None]
    number = jnp.maximum(jnp.sum(here), 1)
    mean = jnp.sum(inputs * here, axis=0) / number
    square = jnp.sum(here * (inputs - mean[None]) ** 2, axis=0) / number
    varies = square > 1e-10 * mean**2 + 1e-20
    factor = jnp.where(varies, jax.lax.rsqrt(jnp.where(varies, square, 1)), 0)
    one = jnp.ones((), inputs.dtype)
    view = view_of(inputs, Scales(mean, factor, one, one))

    def mean_square(rows):
        return jnp.maximum(jnp.sum(rows**2 * here) / number, 1e-6)

    return Scales(mean, factor, mean_square(view.plain), mean_square(view.bent))


def view_of(inputs: Float[Array, "rows features"], scales: Scales) -> View:
    """Standardize rows."""
    plain = FAR * jnp.tanh((inputs - scales.mean[None]) * scales.factor[None] / FAR)
    bends = jnp.asarray(BENDS, plain.dtype)[None, None]
    # a column that does not vary is 0 here, and adds nothing to any inner product
    bent = jnp.tanh(2 * (plain[..., None] - bends)) + jnp.tanh(2 * bends)
    return View(plain, bent.reshape(plain.shape[0], -1))


class Labels(NamedTuple):
    """The labels of a support.

    Attributes:
      known: which rows there are.
      targets: one-hot, zeros where there is no row.
      prior: the classes' frequencies, half a row added to each, and 0 of those that are absent;
        the same for all where the support is empty.
    """

    known: Bool[Array, " rows"]
    targets: Float[Array, "rows classes"]
    prior: Float[Array, " classes"]


def labels_of(labels: Integer[Array, " rows"], classes: int, dtype: jnp.dtype) -> Labels:
    """Return what the labels of a support say; those of -1 are of no row."""
    targets = jax.nn.one_hot(labels, classes, dtype=dtype)
    counts = jnp.sum(targets, axis=0)
    number = jnp.sum(counts)
    present = (counts > 0) | (number == 0)
    half = 0.5 * present.astype(dtype)
    prior = jnp.where(present, counts + half, 0) / (number + jnp.sum(half))
    return Labels(labels >= 0, targets, prior)


def table_learner(
    init: Callable[[Key[Array, ""], Task], Params],
    adapt: Callable,
    predict: Callable,
    classes: int,
) -> MetaLearner:
    """Make a learner of tables, whose loss is the mean log loss of the queries that there are.

    Args:
      init: as a :class:`~metajax.core.MetaLearner` has it.
      adapt: the same.
      predict: the same; its outputs are log-probabilities.
      classes: length of the outputs.

    Raises:
      ConfigError: fewer than 1 class; from the learner, for inputs that are no
        ``float[rows, features]`` and for targets that are neither classes nor -1.
    """
    if classes < 1:
        raise ConfigError("classes", classes, "1 or more")

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        outputs = predict(params, adapt(params, task.support, key), task.query.inputs)
        targets = task.query.targets
        asked = (targets >= 0).astype(outputs.dtype)
        number = jnp.maximum(jnp.sum(asked), 1)
        losses = -jnp.take_along_axis(outputs, jnp.maximum(targets, 0)[:, None], axis=1)[:, 0]
        hit = jnp.argmax(outputs, axis=1) == targets
        value = jnp.sum(losses * asked) / number
        right = jnp.sum(hit.astype(outputs.dtype) * asked) / number
        return value, {"query_loss": value, "accuracy": right}

    def check(field: str, examples: Examples) -> None:
        inputs = examples.inputs
        if not isinstance(inputs, jax.Array) or inputs.ndim != 2:
            raise ConfigError(f"{field}.inputs", described(inputs), "features [rows, features]")
        if not jnp.issubdtype(inputs.dtype, jnp.floating):
            raise ConfigError(f"{field}.inputs", described(inputs), "floating-point features")
        # -1 is a row that is not there
        targets = jnp.where(examples.targets == -1, 0, examples.targets)
        check_labels(f"{field}.targets", targets, classes)

    return checked_learner(MetaLearner(init, adapt, predict, loss), check)
