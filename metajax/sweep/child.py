"""A run of a sweep as a process of its own: how it is started, and how it ended."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from metajax.sweep.grid import Point
from metajax.sweep.results import Outcome, is_done, run_folder
from metajax.train import in_use, is_remote, write_whole


def log_path(folder: Path, point: Point) -> Path:
    """Where what a run prints is kept, on this machine: nothing can be appended in a store."""
    if is_remote(folder):
        named = hashlib.sha256(str(folder).encode()).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"metajax-logs-{os.getuid()}-{named}" / _name(point)
    return folder / "logs" / _name(point)


def _name(point: Point) -> str:
    return f"{point.name}.txt"


def start(
    folder: Path,
    point: Point,
    command: list[str],
    *,
    cwd: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen:
    """Start a run's process; what it prints is added to its log."""
    log_path(folder, point).parent.mkdir(exist_ok=True)
    with log_path(folder, point).open("ab") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=environment,
        )


def outcome_of(folder: Path, point: Point, code: int) -> Outcome | None:
    """Return how a run's process ended; None: start it again, another held its workdir."""
    if is_remote(folder) and log_path(folder, point).exists():
        (folder / "logs").mkdir(exist_ok=True)
        write_whole(folder / "logs" / _name(point), log_path(folder, point).read_bytes())
    if code == 1 and in_use(run_folder(folder, point)):
        return None  # the one of a killed sweep was still starting
    if code == 0 and is_done(folder, point):
        return Outcome("done")
    if code in (75, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT):
        return Outcome("interrupted")
    if code < 0:
        return Outcome("failed", f"killed by {signal.Signals(-code).name}")
    text = log_path(folder, point).read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    # a progress bar writes over its own line
    said = [line.rpartition("\r")[2] for line in lines if line] or [f"exit code {code}"]
    told = [line for line in said if line.startswith("metajax: error: ")]
    return Outcome("failed", told[-1].removeprefix("metajax: error: ") if told else said[-1])
