"""A learner that has adapted to a person's data: it answers, and is written as a function."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from metajax.core import (
    ConfigError,
    MetaLearner,
    Params,
    check_learner,
    check_one_key,
    described,
    follow_of,
    local_path,
    needs_extra,
)

AT_ONCE = 64
"""Queries that are answered at once: a bound on memory, and on how many programs are compiled."""
PLATFORMS = ("cpu", "cuda", "tpu")
"""What an exported function runs on."""


@dataclass(frozen=True)
class Adapted:
    """A learner that has adapted to a person's data, ready to answer.

    Attributes:
      function: ``function(state, queries) -> outputs``, pure and traceable; each query is answered
        alone, whatever others it comes with.
      state: the arrays that it needs: parameters, and what has adapted.
      query: the shape and dtype of one query: an array's, or a tuple of them.
      encode: ``encode(inputs) -> queries``, a person's inputs as the numpy arrays that ``function``
        takes; it raises a ``ConfigError`` where they are something else.
      answer: ``answer(outputs) -> answer``, numpy arrays in a person's own words.
    """

    function: Callable[[PyTree, Array], PyTree]
    state: PyTree = field(repr=False)  # it may be of millions of numbers
    query: PyTree
    encode: Callable[[Any], PyTree]
    answer: Callable[[PyTree], Any]

    def predict(self, inputs: Any) -> Any:
        """Answer a person's queries.

        Args:
          inputs: as many as there are, in the form that the support had.

        Returns:
          For classes :class:`Labels`; else an array with an entry for each query.

        Raises:
          ConfigError: the inputs are of another kind or shape than the support's.
        """
        queries = self.encode(inputs)
        check_queries(queries, self.query)
        total = len(jax.tree.leaves(queries)[0])
        parts = []
        for first in range(0, total, AT_ONCE):
            # sizes are few, so that few programs are compiled
            number = min(AT_ONCE, total - first)
            size = 1 << (number - 1).bit_length()
            places = first + np.minimum(np.arange(size), number - 1)
            some = jax.tree.map(lambda leaf, at=places: leaf[at], queries)
            found = _call(self.function, self.state, some)
            parts.append(jax.tree.map(lambda leaf, end=number: np.asarray(leaf)[:end], found))
        return self.answer(jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts))

    def export(self, path: str | os.PathLike, platforms: Sequence[str] = PLATFORMS) -> Path:
        """Write the adapted learner as one file that needs jax alone.

        The file holds the program and its parameters, for any number of queries:
        ``jax.export.deserialize(bytearray(path.read_bytes())).call(queries)``.

        Args:
          path: of the new file.
          platforms: what it can run on.

        Returns:
          The path.

        Raises:
          ConfigError: the file exists already.
          MissingExtraError: flatbuffers is not installed, by which JAX writes such files.
        """
        from jax import export

        path = local_path(path, "path")
        if path.exists():
            raise ConfigError("path", str(path), "a file that does not exist yet")
        (number,) = export.symbolic_shape("queries")
        queries = jax.tree.map(
            lambda one: jax.ShapeDtypeStruct((number, *one.shape), one.dtype), self.query
        )
        # a file that stands alone holds its parameters in the program
        alone = jax.jit(functools.partial(self.function, jax.device_get(self.state)))
        with needs_extra("Adapted.export", "flatbuffers", "export"):
            import flatbuffers  # noqa: F401, by which JAX writes such files
        path.write_bytes(export.export(alone, platforms=tuple(platforms))(queries).serialize())
        return path


@functools.partial(jax.jit, static_argnums=0)
def _call(function: Any, state: Any, queries: Any) -> Any:
    return function(state, queries)


def check_queries(queries: PyTree, one: PyTree) -> None:
    """Raise where queries are not of the shape that the support's inputs had.

    Raises:
      ConfigError: they are not, or there are none.
    """
    for leaf, like in zip(jax.tree.leaves(queries), jax.tree.leaves(one), strict=True):
        if leaf.shape[1:] != like.shape or not len(leaf):
            expected = f"1 or more of the support's shape {list(like.shape)}"
            raise ConfigError("inputs", described(leaf), expected)


def load_exported(path: str | os.PathLike) -> Callable[[Any], Any]:
    """Return the function that :meth:`Adapted.export` has written.

    Args:
      path: of the file.

    Returns:
      ``function(queries) -> outputs``, of any number of queries.

    Raises:
      ConfigError: the file cannot be read, or holds no exported function.
      MissingExtraError: flatbuffers is not installed, by which JAX reads such files.
    """
    from jax import export

    with needs_extra("load_exported", "flatbuffers", "export"):
        import flatbuffers  # noqa: F401
    path = local_path(path, "path")
    try:
        return export.deserialize(bytearray(path.read_bytes())).call
    # flatbuffers raise whatever a damaged file leads them to
    except Exception as error:
        raise ConfigError("path", str(path), f"a file of Adapted.export ({error})") from error


def check_no_steps(steps: int | None) -> None:
    """Raise where steps are asked of a learner that takes none.

    Args:
      steps: as they were asked for.

    Raises:
      ConfigError: they are.
    """
    if steps is not None:
        raise ConfigError("steps", steps, "None, for a learner that takes no steps")


def check_steps(steps: int | None) -> None:
    """Raise where steps are below 0.

    Args:
      steps: as they were asked for; None: the usual number.

    Raises:
      ConfigError: they are.
    """
    if steps is not None and steps < 0:
        raise ConfigError("steps", steps, "0 or more")


def check_number(field: str, number: Any) -> None:
    """Raise where something is no number of things.

    Args:
      field: the name that an error gives it.
      number: what is checked.

    Raises:
      ConfigError: it is no whole number, or below 1.
    """
    if not isinstance(number, Integral) or number < 1:
        raise ConfigError(field, number, "a whole number of 1 or more")


def usual_key(key: Key[Array, ""] | None) -> Key[Array, ""]:
    """Return a key for what adapting draws, by default ``jax.random.key(0)``.

    Args:
      key: as a person gave it.

    Raises:
      ConfigError: it is not one typed key, or its draws depend on what else is drawn with it.
    """
    key = jax.random.key(0) if key is None else key
    check_one_key("key", key)
    return key


def adapt_learner(
    learner: MetaLearner,
    params: Params,
    support: PyTree,
    key: Key[Array, ""],
    steps: int | None = None,
) -> PyTree:
    """Return what a learner adapts to, compiled.

    Args:
      learner: any; calls with the same one compile once.
      params: what was trained.
      support: the learner's own.
      key: for what it draws.
      steps: how many it takes, of a learner that adapts in steps; None: as many as in training.

    Raises:
      ConfigError: it is no learner; or ``steps`` of one that takes none, or below 0.
    """
    check_learner(learner)
    if getattr(learner, "follow", None) is None:
        check_no_steps(steps)
    check_steps(steps)
    return _adapt(learner, params, support, key, steps)


@functools.partial(jax.jit, static_argnums=(0, 4))
def _adapt(learner: MetaLearner, params: Any, support: Any, key: Any, steps: int | None) -> Any:
    if steps is None:
        return learner.adapt(params, support, key)
    return follow_of(learner)(params, support, key, steps, _nothing)[0]


def _nothing(adapted: Any) -> tuple[()]:
    return ()
