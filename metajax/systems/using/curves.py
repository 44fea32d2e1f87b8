"""A curve through a few points of a person's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from metajax.core import ConfigError, Examples, MetaLearner, described
from metajax.data import read_columns
from metajax.systems.axes import make_axes
from metajax.systems.base import Use
from metajax.systems.using.adapted import Adapted, Told, adapt_learner, support_pair
from metajax.systems.using.given import FIELD, read_arrays

DRAWN = 200
"""Points at which a curve is predicted where none are asked for."""


def _encode(field: str, numbers: Any) -> Float[np.ndarray, "n 1"]:
    """Return numbers as a column.

    Raises:
      ConfigError: they are no numbers ``[n]`` or ``[n, 1]``, or not finite.
    """
    array = np.asarray(numbers)
    if (
        array.dtype.kind not in "biuf"
        or array.ndim not in (1, 2)
        or array.shape[1:] not in ((), (1,))
    ):
        raise ConfigError(field, described(array), "numbers [points] or [points, 1]")
    if not np.isfinite(array).all():
        raise ConfigError(field, "numbers that are not finite", "finite numbers")
    return array.astype(np.float32).reshape(-1, 1)


@functools.lru_cache(maxsize=64)
def _function(learner: MetaLearner) -> Callable[..., Any]:
    """Return ``function(state, x) -> y``, the same one for equal learners."""

    def function(state: Any, queries: Float[Array, "n 1"]) -> Float[Array, " n"]:
        params, adapted = state
        return learner.predict(params, adapted, queries)[:, 0]

    return function


def _adapt(run: Any, support: Any, key: Any, steps: int | None) -> Adapted:
    """Adapt to points."""
    inputs, targets = support_pair(support, "(x, y)")
    x, y = _encode("support.inputs", inputs), _encode("support.targets", targets)
    if len(x) != len(y) or not len(x):
        expected = f"{len(x)} numbers, one for each of the inputs, and 1 or more"
        raise ConfigError("support.targets", f"{len(y)} numbers", expected)
    examples = Examples(jnp.asarray(x), jnp.asarray(y))
    adapted = adapt_learner(run.learner, run.params, examples, key, steps)
    return Adapted(
        _function(run.learner),
        (run.params, adapted),
        jax.ShapeDtypeStruct((1,), jnp.float32),
        functools.partial(_encode, "inputs"),
        np.asarray,
    )


def _files(run: Any, path: Path, target: str | None, steps: int | None) -> Told:
    """Adapt to the points of a file, and predict the curve."""
    if target is not None:
        raise ConfigError("--target", target, "none, for columns x and y")
    if path.suffix.lower() == ".npz":
        arrays = read_arrays(path, "x", "y", optional=("queries",))
        x, y = arrays["x"], arrays["y"]
        queries = arrays.get("queries", np.zeros(0))
    else:
        table = read_columns(path, ("x", "y"))
        known = np.isfinite(table["y"])
        x, y, queries = table["x"][known], table["y"][known], table["x"][~known]
    if not len(x):
        raise ConfigError(FIELD, str(path), "a point with x and y to learn from")
    if not len(queries):
        margin = 0.1 * np.ptp(x) + 1e-3
        queries = np.linspace(x.min() - margin, x.max() + margin, DRAWN)
    adapted = run.adapt((x, y), steps=steps)
    found = adapted.predict(queries)
    lines = [f"{len(x)} points learned from; {len(queries)} predicted"]
    told = {"x": queries.reshape(-1), "predicted": found}
    return Told(lines, told, functools.partial(draw, adapted, x, y, queries), lambda: adapted)


def draw(adapted: Adapted, x: Any, y: Any, queries: Any) -> Any:
    """Draw the points and the curve."""
    canvas, axes = make_axes("x", "y")
    at = np.concatenate([np.asarray(x).reshape(-1), np.asarray(queries).reshape(-1)])
    line = np.linspace(at.min(), at.max(), DRAWN)
    axes.plot(line, adapted.predict(line), label="adapted curve")
    axes.plot(np.asarray(x).reshape(-1), np.asarray(y).reshape(-1), "o", label="your points")
    axes.legend(frameon=False)
    return canvas


CURVES = Use(_adapt, _files)
"""The use of learners of curves: ``x`` and ``y`` are numbers."""
