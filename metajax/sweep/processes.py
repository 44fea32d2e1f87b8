"""The runs of a sweep as processes of their own, some at a time."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm.auto import tqdm

from metajax.sweep.child import outcome_of, start
from metajax.sweep.grid import Point
from metajax.sweep.results import Outcome, is_done, run_folder, write_results
from metajax.train import Interrupted, in_use, signals_noted

log = logging.getLogger("metajax")

POLL_SECONDS = 0.1


def run_processes(
    folder: Path,
    points: Sequence[Point],
    command: Callable[[Point, Path], list[str]],
    *,
    workers: int = 1,
    progress: bool = True,
) -> dict[int, Outcome]:
    """Run every point that is not done in a process of its own, ``workers`` of them at a time.

    ``results.csv`` is written whenever a run ends. A run that fails is noted and the others
    continue. A run that is still alive, because the sweep that started it was killed, is waited
    for. What a run prints goes to ``logs/NNNN.txt``.

    Args:
      folder: of the sweep.
      points: its runs.
      command: ``command(point, workdir)``, which trains and evaluates a run in its workdir, resumes
        it if it was begun, and exits with 75 if it was stopped with its state saved.
      workers: processes at a time.
      progress: show a progress bar.

    Returns:
      How each run ended.

    Raises:
      Interrupted: SIGTERM or SIGINT came; it was handed on to the runs, which have saved.
    """
    outcomes = {point.number: Outcome("done") for point in points if is_done(folder, point)}
    waiting = [point for point in points if point.number not in outcomes]
    running: dict[int, tuple[Point, subprocess.Popen]] = {}
    write_results(folder, points, outcomes)

    def end(point: Point, outcome: Outcome) -> None:
        outcomes[point.number] = outcome
        write_results(folder, points, outcomes)
        if outcome.status == "failed":
            log.warning("run %s failed: %s", point.name, outcome.error)
        bar.update()

    with (
        tqdm(
            total=len(points),
            initial=len(outcomes),
            unit="run",
            disable=not progress,
            dynamic_ncols=True,
        ) as bar,
        signals_noted() as signals,
    ):
        handed_on = False
        while running or (waiting and not signals):
            if signals and not handed_on:
                handed_on = True
                for _, process in running.values():
                    process.terminate()
            for number, (point, process) in list(running.items()):
                if (code := process.poll()) is None:
                    continue
                del running[number]
                if (outcome := outcome_of(folder, point, code)) is None:
                    waiting.append(point)
                else:
                    end(point, outcome)
            for point in list(waiting):
                if signals or len(running) == workers:
                    break
                if in_use(run_folder(folder, point)):
                    continue  # by a run whose sweep was killed
                waiting.remove(point)
                if is_done(folder, point):
                    end(point, Outcome("done"))
                else:
                    process = start(folder, point, command(point, run_folder(folder, point)))
                    running[point.number] = point, process
            time.sleep(POLL_SECONDS)
    if signals:
        done = sum(outcome.status == "done" for outcome in outcomes.values())
        raise Interrupted(signals[0], f"{done} of {len(points)} runs")
    return outcomes
