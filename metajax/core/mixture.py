"""Tasks of different shapes in one meta-step, each at its own size: nothing is padded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core.boundary import check_type
from metajax.core.dataclass_trees import register_dataclass
from metajax.core.errors import ConfigError
from metajax.core.kinds import check_learner, kind
from metajax.core.staged import Staged
from metajax.core.types import Examples, MetaLearner, Params, Task, TaskDistribution


@register_dataclass
@dataclass(frozen=True)
class MixedTasks:
    """Tasks of several distributions as one task, which :func:`mixed` learns from.

    A draw is ``Task(support, query)``, each a tuple with an entry per distribution whose leaves
    lead with an axis of that distribution's ``counts``. Sizes may differ from one distribution to
    the next; every draw has the same mix, which a random choice would only have on average.

    Attributes:
      parts: the distributions, of a key alone.
      counts: how many tasks of each make a draw. Static.

    Raises:
      ConfigError: not one count of 1 or more per distribution, or one is
        :class:`~metajax.core.Staged`: stage the mix then, as ``Staged(draw)`` whose ``draw(key,
        step)`` calls ``MixedTasks`` of what :func:`~metajax.core.at_step` makes of each.
    """

    parts: tuple[TaskDistribution, ...]
    counts: tuple[int, ...] = field(metadata={"static": True})

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.parts) or min(self.counts, default=0) < 1:
            raise ConfigError("counts", self.counts, f"{len(self.parts)} whole numbers above 0")
        for index, part in enumerate(self.parts):
            if isinstance(part, Staged):
                raise ConfigError(
                    f"parts[{index}]",
                    kind(part),
                    "a distribution of a key alone; Staged goes around the mix: Staged(draw), "
                    "where draw(key, step) calls MixedTasks of at_step(part, step)",
                )

    def __call__(self, key: Key[Array, ""]) -> Task:
        keys = jax.random.split(key, len(self.parts))
        drawn = [
            jax.vmap(part)(jax.random.split(keys[i], count))
            for i, (part, count) in enumerate(zip(self.parts, self.counts, strict=True))
        ]
        return Task(tuple(task.support for task in drawn), tuple(task.query for task in drawn))


def mixed(learner: MetaLearner) -> MetaLearner:
    """Make a learner of :class:`MixedTasks` from one whose parameters fit tasks of all shapes.

    ``adapt``, ``predict`` and ``loss`` treat each task as ``learner`` does; the loss and its
    metrics are means over all tasks of a draw. ``init`` sees a task of the first distribution.
    ``follow``, of a learner that has one, keeps what all tasks have adapted after every step, since
    its ``note`` is of all tasks together.

    Args:
      learner: of one task, whatever its shape.

    Returns:
      The learner of draws.

    Raises:
      ConfigError: ``learner`` is none; from the new one, for what is no draw of such tasks.
    """
    check_learner(learner)

    def parts_of(field: str, value: Any, *others: Any) -> tuple[Any, ...]:
        """One entry a distribution, as many as ``others`` have."""
        fits = isinstance(value, tuple) and not isinstance(value, Examples | Task)
        if not fits or any(len(value) != len(other) for other in others):
            raise ConfigError(field, kind(value), "a tuple with an entry for each distribution")
        return value

    def keys_of(parts: tuple[Any, ...], key: Key[Array, ""]) -> list[Array]:
        sizes = [jax.tree.leaves(part)[0].shape[0] for part in parts]
        return jnp.split(jax.random.split(key, sum(sizes)), np.cumsum(sizes)[:-1])

    def init(key: Key[Array, ""], task: Task) -> Params:
        check_type("task", task, Task)
        parts_of("task.support", task.support)
        first = jax.tree.map(lambda leaf: leaf[0], Task(task.support[0], task.query[0]))
        return learner.init(key, first)

    def adapt(params: Params, support: tuple[Any, ...], key: Key[Array, ""]) -> tuple[Any, ...]:
        each = jax.vmap(learner.adapt, (None, 0, 0))
        support = parts_of("support", support)
        keys = keys_of(support, key)
        return tuple(each(params, part, k) for part, k in zip(support, keys, strict=True))

    def predict(params: Params, adapted: tuple[Any, ...], inputs: tuple[Any, ...]):
        each = jax.vmap(learner.predict, (None, 0, 0))
        inputs = parts_of("inputs", inputs, adapted)
        return tuple(each(params, a, x) for a, x in zip(adapted, inputs, strict=True))

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        each = jax.vmap(learner.loss, (None, 0, 0))
        check_type("task", task, Task)
        parts_of("task.query", task.query, parts_of("task.support", task.support))
        found = [
            each(params, Task(support, query), keys)
            for support, query, keys in zip(*task, keys_of(task.support, key), strict=True)
        ]
        return jax.tree.map(lambda *leaves: jnp.mean(jnp.concatenate(leaves), axis=0), *found)

    one_followed = getattr(learner, "follow", None)

    def follow(
        params: Params,
        support: tuple[Any, ...],
        key: Key[Array, ""],
        num_steps: int,
        note: Callable[[tuple[Any, ...]], Any],
    ) -> tuple[tuple[Any, ...], Any]:
        assert one_followed is not None  # or the new learner has no follow either

        def one(support: Any, key: Key[Array, ""]) -> tuple[Any, Any]:
            return one_followed(params, support, key, num_steps, lambda adapted: adapted)

        # the steps lead, as in what is returned, then the tasks
        each = jax.vmap(one, out_axes=(0, 1))
        support = parts_of("support", support)
        keys = keys_of(support, key)
        found = [each(part, k) for part, k in zip(support, keys, strict=True)]
        adapted, every = (tuple(leaves) for leaves in zip(*found, strict=True))
        return adapted, jax.lax.map(note, every)

    return MetaLearner(init, adapt, predict, loss, None if one_followed is None else follow)
