"""Many networks of one shape, trained as one program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Array, Key

from metajax.core import Algorithm, ConfigError, check_key
from metajax.train.finished import Fit
from metajax.train.loop import fit
from metajax.train.populations import population


def train_many(
    algorithm: Algorithm,
    tasks: Sequence[Any],
    *,
    keys: Key[Array, " m"],
    steps: int,
    tasks_per_step: int,
    start: Key[Array, ""] | None = None,
    **options: Any,
) -> Fit:
    """Train ``m`` networks of one shape as one program: :func:`fit` of a :func:`population`.

    Network ``i`` is what ``fit(algorithm, tasks[i], key=keys[i])`` would train alone, up to
    rounding. A network whose step is not finite keeps its last finite state, and the others
    continue: ``state.failed_at`` tells which.

    Args:
      algorithm: the training step of one network.
      tasks: what each network is trained on, of one structure and shapes.
      keys: of the networks, one each.
      steps: of each network.
      tasks_per_step: draws of a network's tasks for one step.
      start: where given, all networks start from the one initialization that a run of this key
        has. Networks of separate starts have their units in different orders, which a model of
        their weights would have to explain too.
      options: more of :func:`fit`, e.g. ``workdir``, in which the training resumes, and
        ``progress``.

    Returns:
      The result, whose ``params`` and metrics ``runs/NAME`` have a leading axis of networks.

    Raises:
      ConfigError: there is not one key for each of one or more tasks, or what :func:`population`
        and :func:`fit` reject.

    Examples:
      >>> import jax
      >>> import optax
      >>> import metajax as mj
      >>> from metajax.data import sinusoid_tasks
      >>> from metajax.learners import mean_squared_error, ridge
      >>> from metajax.nn import mlp
      >>> from metajax.train import train_many
      >>> algorithm = mj.gradient(ridge(mlp([8], 8), mean_squared_error), optax.adam(1e-2))
      >>> result = train_many(
      ...     algorithm,
      ...     [sinusoid_tasks(5, 5)] * 3,
      ...     keys=jax.random.split(jax.random.key(0), 3),
      ...     steps=2,
      ...     tasks_per_step=4,
      ...     progress=False,
      ... )
      >>> {leaf.shape[0] for leaf in jax.tree.leaves(result.params)}
      {3}
    """
    check_key("keys", keys)
    if keys.shape != (len(tasks),):
        raise ConfigError("keys", keys.shape, f"a key for each of the {len(tasks)} tasks")
    made = algorithm
    if start is not None:
        check_key("start", start)
        made = algorithm._replace(init=lambda key, task: algorithm.init(start, task))
    many, held = population(lambda values: made, {}, keys, tasks, tasks_per_step=tasks_per_step)
    return fit(many, held, steps=steps, tasks_per_step=1, key=keys[0], **options)
