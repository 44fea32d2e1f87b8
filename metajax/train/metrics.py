"""The log of a run: ``metrics.jsonl``, TensorBoard, and the progress bar."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import needs_extra
from metajax.train.errors import WorkdirError
from metajax.train.leases import check_held
from metajax.train.paths import is_remote, write_whole

log = logging.getLogger("metajax")

UPLOAD_SECONDS = 60.0
"""A log in a store, where nothing can be appended, is written again this often at most."""


def plain(value: Any) -> Any:
    """Return arrays and numbers as JSON can hold them; a number that is not finite is null.

    Args:
      value: arrays, numbers, and containers of them.
    """
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(np.asarray(value).tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as JSON text, which every file of results is written by.

    JSON knows no NaN and no infinity: such a number is null.

    Args:
      value: arrays, numbers, and containers of them.
      indent: spaces a level, or None for one line.
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def read_rows(workdir: Path) -> list[dict[str, Any]]:
    """Return the rows of a workdir's ``metrics.jsonl``, up to a line that a kill cut short.

    Args:
      workdir: of a run.
    """
    path = workdir / "metrics.jsonl"
    rows: list[dict[str, Any]] = []
    text = path.read_bytes().decode(errors="replace") if path.exists() else ""
    for line in text.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            break
    return rows


def lines_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The content of a ``metrics.jsonl``."""
    return "".join(to_json(row) + "\n" for row in rows).encode()


@contextlib.contextmanager
def _write_errors(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkdirError(
            f"{name} cannot be written: {error}. The last checkpoint is kept; run the same command "
            "again to resume from it."
        ) from error


class MetricsLog:
    """Rows of metrics by step, in memory and, with a ``workdir``, in ``metrics.jsonl``.

    Rows past ``step``, which a killed run wrote after its last checkpoint, are dropped on
    opening: the resumed run writes them again. So are the rows of ``step`` itself whose places
    among these are in ``drop``: an extended run does not have them.
    """

    def __init__(
        self,
        workdir: Path | None,
        *,
        step: int = 0,
        drop: Collection[int] = (),
        tensorboard: bool = False,
    ):
        self.rows: list[dict[str, Any]] = []
        self._file = None
        self._store: Any = None
        self._uploaded = time.monotonic()
        self._writer = None
        if workdir is None:
            return
        path = workdir / "metrics.jsonl"
        if path.exists():
            rows = read_rows(workdir)
            last = [row for row in rows if row["step"] == step]
            last = [row for place, row in enumerate(last) if place not in drop]
            self.rows = [*(row for row in rows if row["step"] < step), *last]
            write_whole(path, lines_of(self.rows))
        if is_remote(path):
            self._store = path
        else:
            self._file = path.open("a", encoding="utf-8")
        if tensorboard:
            with needs_extra("tensorboard = True", "tensorboardX", "tensorboard"):
                from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(workdir / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, metrics: Mapping[str, Any]) -> None:
        """Append one row; scalars also go to TensorBoard where that is on."""
        row = {"step": step, **plain(metrics)}
        self.rows.append(row)
        if self._file is not None:
            with _write_errors(self._file.name):
                self._file.write(to_json(row) + "\n")
                self._file.flush()
        if self._store is not None and time.monotonic() - self._uploaded > UPLOAD_SECONDS:
            self._upload()
        if self._writer is not None:
            for name, value in row.items():
                if isinstance(value, (int, float)) and name != "step":
                    self._writer.add_scalar(name, value, step)

    def sync(self) -> None:
        """Put all rows on disk, before a checkpoint says that they are there."""
        if self._file is not None:
            with _write_errors(self._file.name):
                self._file.flush()
                os.fsync(self._file.fileno())
        if self._store is not None:
            self._upload()

    def _upload(self) -> None:
        check_held(self._store.parent)
        with _write_errors(str(self._store)):
            write_whole(self._store, lines_of(self.rows))
        self._uploaded = time.monotonic()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._store is not None:
            try:
                self._upload()
            except WorkdirError as error:  # what a checkpoint relies on is there already
                log.warning("%s", error)
        if self._writer is not None:
            self._writer.close()
