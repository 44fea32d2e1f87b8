"""Finished runs: what training returns, and what it leaves in a workdir."""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from metajax.core import Algorithm, Params, apart_from_surroundings, at_step
from metajax.train.arguments import check_tasks
from metajax.train.checkpoint import Checkpointer
from metajax.train.fingerprints import fingerprint
from metajax.train.identity import OnChanged, check_identity, note_identity, run_config
from metajax.train.metrics import lines_of
from metajax.train.paths import as_path, write_whole
from metajax.train.state import strong
from metajax.train.step import LoopState
from metajax.train.workdir import open_workdir


class Fit(NamedTuple):
    """What :func:`metajax.train.fit` returns.

    Attributes:
      state: the algorithm's final state.
      params: the final meta-parameters, for a learner's ``adapt`` and ``predict``.
      step: meta-steps done.
      history: the rows of ``metrics.jsonl``, each with its ``step``.
      compile_seconds: wall time of tracing and compiling the meta-step, 0 if nothing was left
        to do.
      seconds: wall time of this call.
      skipped: meta-steps left out by ``on_nonfinite="skip"``.
    """

    state: Any
    params: Params
    step: int
    history: list[dict[str, Any]]
    compile_seconds: float
    seconds: float
    skipped: int


@apart_from_surroundings
def restore_params(
    workdir: str | os.PathLike, algorithm: Algorithm, tasks: Any, key: Key[Array, ""]
) -> tuple[Params, int]:
    """Return the newest good checkpoint's meta-parameters and its step, changing nothing.

    Args:
      workdir: a folder that :func:`fit` has written, here or in a store.
      algorithm: as it was given to :func:`fit`.
      tasks: a task distribution of the same shapes.
      key: any key; it only serves to learn the shapes of the state.

    Raises:
      ConfigError: ``tasks`` draw nothing.
      CheckpointError: there is no checkpoint, or it does not fit ``algorithm``.
    """
    check_tasks(tasks)
    checkpointer = Checkpointer(as_path(workdir) / "checkpoints", read_only=True)

    def first(tasks):
        return strong(algorithm.init(key, at_step(tasks)(key)))

    state = jax.eval_shape(first, strong(tasks))
    number: Any = jax.ShapeDtypeStruct((), jnp.int32)
    with contextlib.closing(checkpointer):
        restored, meta = checkpointer.restore(LoopState(state, number, number))
    return algorithm.params(restored.algorithm), meta["step"]


@apart_from_surroundings
def save_finished(
    workdir: str | os.PathLike,
    result: Fit,
    *,
    algorithm: Algorithm,
    tasks: Any,
    tasks_per_step: int,
    key: Key[Array, ""],
    config: dict[str, Any] | None = None,
    on_changed: OnChanged = "raise",
) -> None:
    """Write what :func:`fit` leaves in a workdir, of a run that was trained another way.

    ``config.json``, ``metrics.jsonl`` and the last checkpoint; :func:`restore_params` reads it, and
    the same call of :func:`fit` finds it finished. The arguments are those of :func:`fit`; tasks
    are sampled on the device.

    Args:
      workdir: to write into.
      result: of the training.
      algorithm: that was trained.
      tasks: that it was trained on.
      tasks_per_step: of the training.
      key: of the training.
      config: what ``config.json`` says of it.
      on_changed: what happens where the workdir holds another run.

    Raises:
      WorkdirError: the workdir is in use, holds another run, or cannot be written.
      CheckpointError: the checkpoint could not be written.
    """
    key_data = np.asarray(jax.random.key_data(key))
    identity = run_config(result.step, tasks_per_step, key_data, "stop", config)
    with open_workdir(workdir, identity, restart=on_changed == "restart") as path:
        new = fingerprint(algorithm, strong(tasks), [], tasks_per_step=tasks_per_step, key=key)
        trained = check_identity(path, new, identity, on_changed)
        write_whole(path / "metrics.jsonl", lines_of(result.history))
        checkpointer = Checkpointer(path / "checkpoints")
        if checkpointer.good_step != result.step:
            state = LoopState(result.state, jnp.int32(-1), jnp.int32(0))
            checkpointer.save(result.step, state, {"step": result.step, "window": []})
        note_identity(path, trained)
        checkpointer.close()
