"""Several processes that train one run together, as ``jax.distributed`` connects them.

Each sees its own devices and the others' through one mesh. The first does what must be done once:
it holds the workdir, writes the log, seals checkpoints and measures the time that decides how many
steps a dispatch has; the others learn from it what they all must agree on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from metajax.core import ConfigError, MetajaxError
from metajax.train.errors import ProcessLostError, WorkdirError


def join(
    coordinator: str | None = None, processes: int | None = None, process: int | None = None
) -> None:
    """Connect this process to the others of its run; call it before anything else uses jax.

    Args:
      coordinator: ``HOST:PORT`` where the first process waits for the others; None where
        ``jax.distributed`` finds them by itself, as on TPU pods and under Slurm.
      processes: how many there are.
      process: which of them this is, from 0.

    Raises:
      ConfigError: some of the arguments are given without the others, or are out of range.
      MetajaxError: no connection, because the others did not come or nothing tells of them.
    """
    given = {"coordinator": coordinator, "processes": processes, "process": process}
    missing = [name for name, value in given.items() if value is None]
    if 0 < len(missing) < 3:
        raise ConfigError(missing[0], None, "a value, as its companions have one")
    if coordinator is not None:
        if not re.fullmatch(r"\S+:\d+", coordinator):
            raise ConfigError("coordinator", coordinator, "HOST:PORT, e.g. localhost:9000")
        if processes is None or processes < 1:
            raise ConfigError("processes", processes, "a whole number of 1 or more")
        if process is None or not 0 <= process < processes:
            raise ConfigError("process", process, f"0 to {processes - 1}")
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        raise MetajaxError(
            f"this process could not join the others of its run: {error}. Where nothing tells of "
            "them, name the first one's address, their number and this one's index."
        ) from error


def leave(error: ProcessLostError) -> NoReturn:
    """End this process at once: jax's own goodbye waits for the lost one, and then aborts.

    Args:
      error: which processes were lost.

    Returns:
      Nothing: the process ends.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(error.exit_code)


def is_first() -> bool:
    """Return whether this process does what must be done once.

    Returns:
      True in a program of one process.
    """
    return jax.process_index() == 0


def from_first(function: Callable[[], Any]) -> Any:
    """Call a function in the first process alone; its result, JSON values, is returned in all.

    Raises:
      MetajaxError: the function raised one in the first process; the others raise it likewise,
        as a WorkdirError.
    """
    if jax.process_count() == 1:
        return function()
    said: dict[str, Any] = {}
    error: MetajaxError | None = None
    if is_first():
        try:
            said = {"value": function()}
        except MetajaxError as raised:
            error, said = raised, {"error": str(raised)}
    text = np.frombuffer(json.dumps(said).encode(), np.uint8)
    with lost_noticed():
        size = int(multihost_utils.broadcast_one_to_all(np.int32(text.size)))
        sent = text if is_first() else np.zeros(size, np.uint8)
        heard = json.loads(np.asarray(multihost_utils.broadcast_one_to_all(sent)).tobytes())
    if error is not None:
        raise error
    if "error" in heard:
        raise WorkdirError(f"the first process stopped: {heard['error']}")
    return heard["value"]


def agree(stop: int, size: int) -> tuple[int, int]:
    """What all do next: the signal that any process was sent, or 0; the first one's size."""
    if jax.process_count() == 1:
        return stop, size
    with lost_noticed():
        heard = multihost_utils.process_allgather(np.array([stop, size], np.int32))
    return int(heard[:, 0].max()), int(heard[0, 1])


@contextlib.contextmanager
def lost_noticed() -> Iterator[None]:
    """Say in words that another process is gone, where an exchange with it fails."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise ProcessLostError(jax.process_index(), jax.process_count(), str(error)) from error
