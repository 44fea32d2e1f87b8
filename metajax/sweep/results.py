"""The table of a sweep: ``results.csv``, one row a run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metajax.sweep.grid import Point
from metajax.train import WorkdirError, write_whole

Status = str
"""done; failed; interrupted, and resumes with the same command; stopped, by a scheduler that saw
others do better; waiting, not yet begun."""


class Outcome(NamedTuple):
    """How a run ended, its last words where it did not end well, and how far it came if stopped."""

    status: Status
    error: str = ""
    reached: Mapping[str, float] | None = None


def run_folder(folder: Path, point: Point) -> Path:
    """Return the workdir of a run.

    Args:
      folder: of the sweep.
      point: the run.

    Returns:
      The folder.
    """
    return folder / "runs" / point.name


def is_done(folder: Path, point: Point) -> bool:
    """Return whether a run has been trained and evaluated.

    Args:
      folder: of the sweep.
      point: the run.

    Returns:
      Whether its ``summary.json`` has been written.
    """
    return (run_folder(folder, point) / "summary.json").exists()


def flatten(values: Any, path: str = "") -> dict[str, float]:
    """Return the numbers in nested JSON values by their path; of a list of numbers, the last.

    Args:
      values: dicts, lists and numbers.
      path: what all paths begin with.

    Examples:
      >>> from metajax.sweep import flatten
      >>> flatten({"rows": {"maml": {"mean": [3.0, 0.5]}}})
      {'rows.maml.mean[-1]': 0.5}
    """
    if isinstance(values, Mapping):
        found: dict[str, float] = {}
        for name, value in values.items():
            found |= flatten(value, f"{path}.{name}" if path else name)
        return found
    if isinstance(values, list) and values:
        return flatten(values[-1], f"{path}[-1]") if not isinstance(values[-1], list) else {}
    if isinstance(values, (int, float)) and not isinstance(values, bool):
        return {path: values}
    return {}


def write_results(folder: Path, points: Sequence[Point], outcomes: Mapping[int, Outcome]) -> Path:
    """Write ``results.csv`` again; a reader finds the old table or the new one, always whole.

    Columns: run, the swept fields, seed, status, seconds, the numbers of the evaluation
    (:func:`flatten`), of stopped runs the step and the metric that they reached, and the error of
    a run that failed.

    Args:
      folder: of the sweep.
      points: all runs.
      outcomes: by the run's number.

    Returns:
      The path of the table.
    """
    rows: list[dict[str, Any]] = []
    for point in points:
        outcome = outcomes.get(point.number, Outcome("waiting"))
        row = {"run": point.name, **point.values, "seed": point.config.seed}
        row |= {"status": outcome.status, "seconds": "", "error": outcome.error}
        if outcome.status == "done":
            workdir = run_folder(folder, point)
            row["seconds"] = json.loads((workdir / "summary.json").read_bytes())["wall_seconds"]
            evaluation = json.loads((workdir / "eval.json").read_bytes())
            evaluation.pop("settings", None)  # what was asked for, not what was found
            row |= flatten(evaluation)
        row |= outcome.reached or {}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row if name != "error")
    path = folder / "results.csv"
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, [*names, "error"])
    writer.writeheader()
    writer.writerows(rows)
    write_whole(path, table.getvalue().encode(errors="backslashreplace"))
    return path


def read_results(folder: Path) -> list[dict[str, str]]:
    """Return the rows of ``results.csv``, as text.

    Args:
      folder: of the sweep.

    Raises:
      WorkdirError: there is none.
    """
    path = folder / "results.csv"
    try:
        table = path.read_bytes().decode()
        return list(csv.DictReader(io.StringIO(table, newline="")))
    except (OSError, ValueError) as error:
        raise WorkdirError(f"{path} cannot be read ({error}); has the sweep begun?") from error
