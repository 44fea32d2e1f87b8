"""Runs as processes: real ones, that train nothing but lock, save, fail and die as runs do."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from metajax.sweep import Point, read_results, run_processes
from metajax.train import Interrupted, in_use

RUN = """
import fcntl, json, os, pathlib, signal, sys, time
workdir, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
workdir.mkdir(parents=True, exist_ok=True)
lock = open(workdir / ".lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
saved = workdir / "step"
step = int(saved.read_text()) if saved.exists() else 0
with open(workdir / "starts", "a") as file:
    file.write(f"{step}\\n")
if kind == "fails":
    print("step 3\\rstep 4\\nmetajax: error: it broke\\nsome advice")
    sys.exit(1)
if kind == "dies":
    os.kill(os.getpid(), signal.SIGKILL)
if kind == "crashes":
    raise RuntimeError("no such thing")
begun = time.time()
while step < int(sys.argv[3]):
    if stops:
        sys.exit(75)
    time.sleep(0.05)
    step += 1
    saved.write_text(str(step))
(workdir / "times").write_text(json.dumps([begun, time.time()]))
(workdir / "eval.json").write_text(json.dumps({"new": {"last": step + 0.5, "all": [1, 2]}}))
(workdir / "summary.json").write_text(json.dumps({"wall_seconds": 1.5}))
"""

DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import test_processes
print("ready", flush=True)
try:
    test_processes.run(Path(sys.argv[2]), sys.argv[3].split(","), steps=60)
except test_processes.Interrupted as error:
    sys.exit(error.exit_code)
"""


@dataclass(frozen=True)
class Config:
    seed: int


def run(folder: Path, kinds: list[str], workers: int = 2, steps: int = 6):
    points = [Point(n, {"kind": kind}, Config(n)) for n, kind in enumerate(kinds)]
    return run_processes(
        folder,
        points,
        lambda point, workdir: [
            sys.executable,
            "-c",
            RUN,
            str(workdir),
            point.values["kind"],
            str(steps),
        ],
        workers=workers,
        progress=False,
    )


def starts(folder: Path, number: int) -> list[int]:
    """The steps from which a run was started."""
    return [int(line) for line in (folder / f"runs/{number:04d}/starts").read_text().split()]


def drive(folder: Path, kinds: str) -> subprocess.Popen:
    """Start a driver of its own, and return once its first run has taken some steps."""
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(Path(__file__).parent), str(folder), kinds],
        stdout=subprocess.DEVNULL,
    )
    while not (folder / "runs/0000/step").exists():
        assert driver.poll() is None
        time.sleep(0.02)
    return driver


def test_runs_that_fail_are_noted_and_the_others_go_on(tmp_path):
    kinds = ["good", "fails", "good", "dies", "good", "crashes"]
    outcomes = run(tmp_path, kinds)
    assert [outcomes[n].status for n in range(6)] == ["done", "failed"] * 3
    rows = read_results(tmp_path)
    assert [row["error"] for row in rows] == [
        "",
        "it broke",
        "",
        "killed by SIGKILL",
        "",
        "RuntimeError: no such thing",
    ]
    assert list(rows[0]) == [
        "run",
        "kind",
        "seed",
        "status",
        "seconds",
        "new.last",
        "new.all[-1]",
        "error",
    ]
    assert rows[4] == {
        "run": "0004",
        "kind": "good",
        "seed": "4",
        "status": "done",
        "seconds": "1.5",
        "new.last": "6.5",
        "new.all[-1]": "2",
        "error": "",
    }
    # the same again: those that are done are left alone, the others are tried again
    run(tmp_path, kinds)
    assert [len(starts(tmp_path, n)) for n in range(6)] == [1, 2, 1, 2, 1, 2]


def test_as_many_run_at_a_time_as_there_are_workers(tmp_path):
    run(tmp_path, ["good"] * 5, workers=2)
    times = [json.loads((tmp_path / f"runs/{n:04d}/times").read_text()) for n in range(5)]
    alive = [sum(a <= begin < b for a, b in times) for begin, _ in times]
    assert max(alive) == 2


def test_a_driver_killed_in_the_middle_leaves_a_sweep_that_goes_on(tmp_path):
    driver = drive(tmp_path, "good,fails,good,good")
    driver.kill()
    driver.wait()
    assert in_use(tmp_path / "runs/0000")  # the run outlives it
    outcomes = run(tmp_path, ["good", "fails", "good", "good"], steps=60)
    assert [outcomes[n].status for n in range(4)] == ["done", "failed", "done", "done"]
    # what was alive was waited for, not started twice
    assert starts(tmp_path, 0) == [0]
    assert [row["new.last"] for row in read_results(tmp_path)] == ["60.5", "", "60.5", "60.5"]


@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGTERM, 75), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_a_signal_reaches_the_runs_which_save_and_go_on_later(tmp_path, signum, code):
    driver = drive(tmp_path, "good,good,good")
    driver.send_signal(signum)
    assert driver.wait() == code
    rows = read_results(tmp_path)
    assert [row["status"] for row in rows] == ["interrupted", "interrupted", "waiting"]
    outcomes = run(tmp_path, ["good"] * 3, steps=60)
    assert all(outcome.status == "done" for outcome in outcomes.values())
    assert 0 < starts(tmp_path, 0)[1] < 60


def test_a_signal_here_raises_with_what_is_done(tmp_path):
    import threading

    def stop():
        while not (tmp_path / "runs/0001/step").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    with pytest.raises(Interrupted, match="after 1 of 3 runs"):
        run(tmp_path, ["good"] * 3, workers=1)
