"""The metrics of the steps that no row of the log averages yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from metajax.core import Evaluator

TRAINING = ""
"""Whose rows the training's own are, where an evaluator's have its name."""


class Window:
    """Metrics by step since the last logged row, and what a run's last step adds to its log.

    A run that ends between two rows logs one more, and measures out of turn. Where the run is
    extended later, a run of that many steps from the start would not have these rows: so the last
    checkpoint keeps the metrics behind them and notes which they are.

    Attributes:
      rows: the metrics, a row a step.
      dropped: places of those rows of the step resumed from that are to be taken back.
    """

    def __init__(self, log_every: int, evaluators: Sequence[Evaluator]):
        self.rows: list[dict[str, Any]] = []
        self.dropped: set[int] = set()
        self._every = {TRAINING: log_every} | {e.name: e.every for e in evaluators}
        self._only_last: list[tuple[str, int]] = []
        self._behind_last: list[dict[str, Any]] = []

    def means(self) -> dict[str, Any]:
        """The mean over the steps since the last row, of those that were finite."""
        means: dict[str, Any] = {}
        for name in dict.fromkeys(name for row in self.rows for name in row):
            # a resumed run may report other metrics than it did before
            each = [row.get(name) for row in self.rows]
            values = [np.asarray(value, float) for value in each if value is not None]
            means[name] = np.mean(values, axis=0) if values else None
        return means

    def end(self, step: int, measured: Sequence[Evaluator]) -> None:
        """Note what is only logged because ``step`` is the run's last, before it is logged."""
        names = [TRAINING, *(evaluator.name for evaluator in measured)]
        self._only_last = [
            (name, place) for place, name in enumerate(names) if step % self._every[name]
        ]
        self._behind_last = self.rows if step % self._every[TRAINING] else []

    def clear(self) -> None:
        """Start again after a logged row."""
        self.rows = []

    def saved(self) -> dict[str, Any]:
        """What a checkpoint keeps of it, as JSON values."""
        return {"window": [*self._behind_last, *self.rows], "only_last": self._only_last}

    def resume(self, step: int, saved: dict[str, Any]) -> None:
        """Continue from what the checkpoint of ``step`` keeps."""
        only_last = saved.get("only_last", [])
        in_turn = {
            name for name, _ in only_last if name in self._every and step % self._every[name] == 0
        }
        self.dropped = {place for name, place in only_last if name not in in_turn}
        self.rows = [] if TRAINING in in_turn else saved["window"]
