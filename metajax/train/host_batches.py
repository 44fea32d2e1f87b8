"""Batches that are read on the host, one for each meta-step."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from metajax.core import ConfigError, HostFed
from metajax.train.errors import HostDataError


class HostBatches:
    """The batches of a run in order, from the step that they are set to.

    Args:
      tasks: what the run trains on.
      tasks_per_step: the leading axis of every array.
      steps: of the run, for an error where there are fewer batches.
      kept: says which checkpoint is kept, for an error in the middle of a run.

    Raises:
      ConfigError: the iterator cannot be set, or a batch has other than ``tasks_per_step`` tasks.
      HostDataError: the first batch cannot be read.
    """

    def __init__(self, tasks: HostFed, *, tasks_per_step: int, steps: int, kept: Callable[[], str]):
        self._steps, self._kept = steps, kept
        self._iterator: Any = iter(tasks.batches)
        if not (hasattr(self._iterator, "get_state") and hasattr(self._iterator, "set_state")):
            raise ConfigError(
                "tasks.batches",
                type(tasks.batches).__name__,
                "an iterable whose iterators have get_state() and set_state(), e.g. a Grain "
                "IterDataset",
            )
        # the iterator stays where it is
        batch = jax.tree.map(lambda leaf: leaf[0], self.peek(0, 1))
        shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch)]
        if any(shape[:1] != (tasks_per_step,) for shape in shapes):
            raise ConfigError(
                "tasks.batches",
                f"arrays of shapes {shapes}",
                f"a leading axis of tasks_per_step = {tasks_per_step}",
            )
        self.first_task: PyTree = jax.tree.map(lambda leaf: leaf[0], batch)
        """The raw material of the first task, from which shapes are learned."""

    @property
    def position(self) -> dict[str, Any]:
        """Where the iterator is, as JSON values: Grain gives a dict of numbers, or bytes."""
        position = self._iterator.get_state()
        if isinstance(position, bytes):
            return {"base64": base64.b64encode(position).decode()}
        return {"json": json.loads(json.dumps(position))}

    @position.setter
    def position(self, saved: dict[str, Any]) -> None:
        inside = base64.b64decode(saved["base64"]) if "base64" in saved else saved["json"]
        self._iterator.set_state(inside)

    def read(self, step: int, num: int, capacity: int) -> PyTree:
        """Stack the batches of ``num`` steps after ``step``, padded to ``capacity`` with the last.

        Raises:
          ConfigError: there are no more.
          HostDataError: one cannot be read.
        """
        read = [self._next(step + i) for i in range(num)]
        read += [read[-1]] * (capacity - num)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *read)

    def peek(self, step: int, capacity: int) -> PyTree:
        """What :meth:`read` returns for one step, with the iterator left where it is."""
        position = self._iterator.get_state()
        batches = self.read(step, 1, capacity)
        self._iterator.set_state(position)
        return batches

    def _next(self, step: int) -> PyTree:
        try:
            return next(self._iterator)
        except StopIteration:
            raise ConfigError(
                "tasks.batches",
                f"ended after {step} batches",
                f"one for each of {self._steps} steps; repeat the data set",
            ) from None
        except Exception as error:  # whatever the reader of a broken file raises
            raise HostDataError(
                f"the batch of step {step + 1} could not be read ({type(error).__name__}: "
                f"{error}); {self._kept()} Mend the data, and run the same command again to resume."
            ) from error
