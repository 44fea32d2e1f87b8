"""A curve through a few points of a person's own."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, Examples, MetaLearner, Params, described, local_path
from metajax.data import read_columns
from metajax.using.adapted import Adapted, adapt_learner, usual_key
from metajax.using.files import FIELD, check_no_target, read_arrays
from metajax.using.queries import read_numbers, support_pair
from metajax.using.telling import Told

DRAWN = 200
"""Points at which a curve is predicted where none are asked for."""


def _encode(field: str, numbers: Any) -> Float[np.ndarray, "n 1"]:
    """Return numbers as a column.

    Raises:
      ConfigError: they are no numbers ``[n]`` or ``[n, 1]``, or not finite.
    """
    expected = "numbers [points] or [points, 1]"
    array = read_numbers(field, numbers, (1, 2), expected, finite=True)
    if array.shape[1:] not in ((), (1,)):
        raise ConfigError(field, described(array), expected)
    return array.astype(np.float32).reshape(-1, 1)


@functools.lru_cache(maxsize=64)
def _function(learner: MetaLearner) -> Callable[..., Any]:
    """Return ``function(state, x) -> y``, the same one for equal learners."""

    def function(state: Any, queries: Float[Array, "n 1"]) -> Float[Array, " n"]:
        params, adapted = state
        return learner.predict(params, adapted, queries)[:, 0]

    return function


def curve(
    learner: MetaLearner,
    params: Params,
    support: Any,
    *,
    steps: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Adapted:
    """Adapt a learner to points of a person's curve.

    Args:
      learner: of inputs and outputs ``[n, 1]``.
      params: what was trained.
      support: a pair ``(x, y)`` of numbers ``[points]``.
      steps: of a learner that adapts in steps; None: as many as in training.
      key: for what adapting draws; ``jax.random.key(0)`` by default.

    Returns:
      What has adapted; its ``predict(x)`` returns ``y``.

    Raises:
      ConfigError: the support is no such pair, or ``steps`` are asked of a learner that takes none.

    Examples:
      >>> import jax
      >>> import metajax as mj
      >>> import numpy as np
      >>> from metajax.learners import mean_squared_error, ridge
      >>> learner = ridge(mj.nn.mlp([16], 16), mean_squared_error)
      >>> x = np.linspace(-1, 1, 7, dtype=np.float32)[:, None]
      >>> task = mj.Task(mj.Examples(x, x**2), mj.Examples(x, x**2))
      >>> params = learner.init(jax.random.key(0), task)
      >>> mj.using.curve(learner, params, ([0, 1, 2], [0, 1, 4])).predict([0.5, 1.5]).shape
      (2,)
    """
    key = usual_key(key)
    inputs, targets = support_pair(support, "(x, y)")
    x, y = _encode("support.inputs", inputs), _encode("support.targets", targets)
    if len(x) != len(y) or not len(x):
        expected = f"{len(x)} numbers, one for each of the inputs, and 1 or more"
        raise ConfigError("support.targets", f"{len(y)} numbers", expected)
    examples = Examples(jnp.asarray(x), jnp.asarray(y))
    adapted = adapt_learner(learner, params, examples, key, steps)
    return Adapted(
        _function(learner),
        (params, adapted),
        jax.ShapeDtypeStruct((1,), jnp.float32),
        functools.partial(_encode, "inputs"),
        np.asarray,
    )


def tell_curve(
    adapt: Callable[[Any], Adapted], path: str | os.PathLike, target: str | None = None
) -> Told:
    """Adapt to the points of a file, and predict the curve.

    Args:
      adapt: ``adapt((x, y))``, as :func:`curve` adapts.
      path: of a ``.csv`` of columns ``x`` and ``y``, whose points without ``y`` are predicted; or
        of an ``.npz`` of ``x``, ``y`` and maybe ``queries``.
      target: a column, which is named of tables alone.

    Returns:
      What is told of it; without points to predict, of a whole curve.

    Raises:
      ConfigError: the file holds something else, or a target is named.
    """
    check_no_target(target, "columns x and y")
    path = local_path(path, FIELD)
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
    adapted = adapt((x, y))
    found = adapted.predict(queries)
    lines = [f"{len(x)} points learned from; {len(queries)} predicted"]
    told = {"x": queries.reshape(-1), "predicted": found}
    return Told(lines, told, functools.partial(draw_curve, adapted, x, y, queries), lambda: adapted)


def draw_curve(adapted: Adapted, x: Any, y: Any, queries: Any) -> Any:
    """Draw the points and the curve.

    Args:
      adapted: to the points.
      x: of the points.
      y: of the points.
      queries: other places, which the curve reaches too.

    Returns:
      A ``matplotlib.figure.Figure``.
    """
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(5.5, 4), layout="constrained")
    axes = canvas.subplots()
    at = np.concatenate([np.asarray(x).reshape(-1), np.asarray(queries).reshape(-1)])
    line = np.linspace(at.min(), at.max(), DRAWN)
    axes.plot(line, adapted.predict(line), label="adapted curve")
    axes.plot(np.asarray(x).reshape(-1), np.asarray(y).reshape(-1), "o", label="your points")
    axes.set(xlabel="x", ylabel="y")
    axes.grid(alpha=0.25)
    canvas.legend(loc="outside upper left", ncols=2, frameon=False)  # where it hides no point
    return canvas
