"""The engine ray: what it refuses, what it watches, and real Tune that is killed and goes on."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import types

import pytest

pytest.importorskip("ray.tune", reason="Ray Tune is an optional extra: metajax[ray]")

from metajax.cli.main import main
from metajax.sweep import Point
from metajax.sweep.ray_tune import (
    Jobs,
    Recorder,
    RunFailedError,
    RunTrial,
    make_scheduler,
    share,
    signals_ending_tune,
)
from metajax.sweep.stopping import choose_stopping, missing_from
from metajax.systems import SYSTEMS, Objective, configure, get_system
from metajax.train import in_use

LEAST = Objective("rows.new_tasks.mean[-1]", greatest=False, logged="new_tasks/last")
SMALL = [
    "--method",
    "ridge",
    "--width",
    "8",
    "--tasks-per-step",
    "2",
    "--eval-tasks",
    "8",
    "--no-progress",
]
SHORT = ["--steps", "6", "--eval-every", "3", "--log-every", "2", "--checkpoint-every", "3"]


def test_what_is_watched_is_the_systems_own_or_the_loss():
    assert choose_stopping(LEAST, 50) == ("none", "new_tasks/last", "min", 5, 50)
    most = LEAST._replace(greatest=True)
    assert choose_stopping(most, 5, scheduler="asha")[:4] == ("asha", "new_tasks/last", "max", 1)
    assert choose_stopping(most, 5, metric="loss").mode == "min"
    assert choose_stopping(LEAST._replace(logged=None), 5)[1:3] == ("loss", "min")
    chosen = choose_stopping(LEAST, 5, metric="seen/gain", mode="max", grace_period=4)
    assert chosen[1:4] == ("seen/gain", "max", 4)


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_names_what_foretells_its_objective(name):
    system = get_system(name)
    for preset in system.presets:
        config = configure(system, preset)
        assert config.system.objective(config).logged.endswith("/last")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "seen/gain"], ["mode = None", "which of seen/gain is better"]),
        (["--grace-period", "0"], ["grace_period = 0", "1 to 6"]),
        (["--grace-period", "7"], ["grace_period = 7"]),
        (["--scheduler", "ashaa"], ["scheduler = 'ashaa'", "did you mean 'asha'"]),
        (["--engine", "process", "--scheduler", "asha"], ["scheduler = 'asha'", "--engine ray"]),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(arguments, words, tmp_path, capsys):
    folder = tmp_path / "s"
    command = ["sweep", "fewshot", *SMALL, *SHORT, "--workdir", str(folder), "--engine", "ray"]
    assert main([*command, *arguments]) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert not folder.exists()


def test_without_ray_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "metajax.sweep.ray_tune")
    command = ["sweep", "fewshot", *SMALL, "--workdir", str(tmp_path / "s"), "--engine", "ray"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "engine = 'ray'" in error and "pip install 'metajax[ray]'" in error
    assert not (tmp_path / "s").exists()


ROWS = [{"step": 2, "loss": 1.0}, {"step": 3, "new/last": None}, {"step": 4, "loss": 1.0}]


@pytest.mark.parametrize(
    ("num", "metric", "done", "names"),
    [
        (0, "loss", True, None),
        (1, "loss", False, None),
        (1, "accuracy", False, ["loss"]),
        (1, "new/last", False, None),
        (1, "new/last", True, ["loss"]),
        (2, "new/last", False, None),
        (2, "new/lst", False, ["loss", "new/last"]),
        (2, "old/last", False, None),
        (3, "old/last", False, ["loss", "new/last"]),
    ],
)
def test_a_metric_that_rows_never_hold_is_known_as_soon_as_it_can_be(num, metric, done, names):
    assert missing_from(ROWS[:num], metric, done) == names


@pytest.mark.parametrize(
    ("amounts", "num", "each"),
    [
        ([4], 4, 1),
        ([4], 3, 4 / 3),
        ([4, 4], 3, 2),
        ([1, 2], 4, 2 / 3),
        ([1, 1], 3, 0.5),
        ([], 2, 0),
    ],
)
def test_shares_are_the_most_that_fit(amounts, num, each):
    assert share(amounts, num) == pytest.approx(each)


def trial(number):
    from ray.tune.experiment import Trial

    return Trial("RunTrial", config={"run": number}, stub=True)


@pytest.mark.parametrize("name", ["asha", "median"])
def test_schedulers_stop_who_is_behind_and_nobody_before_the_grace_period(name):
    """Tune's own schedulers, told of four runs of which the last is far behind."""
    scheduler = make_scheduler(choose_stopping(LEAST, 40, scheduler=name, grace_period=10))
    trials = [trial(number) for number in range(4)]

    def told(trial, step, value):
        return scheduler.on_trial_result(None, trial, {"step": step, "new_tasks/last": value})

    for one in trials:
        scheduler.on_trial_add(None, one)
    for one in trials[:3]:
        assert {told(one, step, 1.0) for step in (5, 10, 15, 20)} == {"CONTINUE"}
    assert told(trials[3], 5, 9.0) == "CONTINUE"
    assert told(trials[3], 10, 9.0) == "STOP"


@pytest.mark.parametrize("name", ["asha", "median"])
def test_schedulers_know_what_was_over_before_the_driver_began(name, tmp_path):
    points = [Point(number, {}, types.SimpleNamespace(seed=0)) for number in range(4)]
    scheduler = make_scheduler(choose_stopping(LEAST, 40, scheduler=name, grace_period=10))
    trials = [trial(number) for number in range(4)]
    for number, one in enumerate(trials):
        scheduler.on_trial_add(None, one)
        folder = tmp_path / f"runs/{number:04d}"
        folder.mkdir(parents=True)
        rows = [{"step": step, "new_tasks/last": number} for step in (10, 20)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for one in trials[:3]:
        one.set_status("TERMINATED")
        one.update_last_result({"step": 20, "new_tasks/last": one.config["run"], "done": True})
    recorder = Recorder(tmp_path, points, "new_tasks/last", False, scheduler)
    recorder.setup()
    recorder.on_step_begin(0, trials)
    assert [row["status"] for row in rows_of(tmp_path)] == ["stopped"] * 3 + ["waiting"]
    assert [row["new_tasks/last"] for row in rows_of(tmp_path)] == ["0", "1", "2", ""]
    behind = {"step": 10, "new_tasks/last": 3.0}
    assert scheduler.on_trial_result(None, trials[3], behind) == "STOP"


RUN = """
import fcntl, json, pathlib, signal, sys, time
workdir, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
stops = []
signal.signal(signal.SIGTERM, lambda *_: stops.append(1))
workdir.mkdir(parents=True, exist_ok=True)
lock = open(workdir / ".lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
for step in (2, 4, 6):
    with open(workdir / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": step, "loss": 1 / step}) + "\\n")
if kind == "fails":
    print("metajax: error: it broke")
    sys.exit(1)
while kind == "waits":
    if stops:
        sys.exit(75)
    time.sleep(0.01)
(workdir / "eval.json").write_text("{}")
(workdir / "summary.json").write_text(json.dumps({"wall_seconds": 1.5}))
"""


def make_trial(folder, kind, metric="loss"):
    """A trial outside of Tune, whose run takes no steps but logs six."""
    points = [Point(0, {}, types.SimpleNamespace(seed=0, steps=6))]
    command = [sys.executable, "-c", RUN, str(folder / "runs/0000"), kind]
    made = RunTrial.__new__(RunTrial)
    made.setup({"run": 0}, jobs=Jobs(folder, points, [command], metric, str(folder), {}))
    return made


def results(trial, num):
    """The next results that say something."""
    found = []
    while len(found) < num:
        found += [result] if (result := trial.step()) else []
    return found


def test_a_trial_tells_every_row_and_the_last_when_the_run_is_done(tmp_path):
    told = [{"step": step, "loss": 1 / step} for step in (2, 4, 6)]
    assert results(make_trial(tmp_path, "ends"), 4) == [*told, {**told[2], "done": True}]
    # a run that is done is told of without being started
    assert results(make_trial(tmp_path, "fails"), 4) == [*told, {**told[2], "done": True}]


def test_a_run_that_fails_is_told_of_and_fails_the_trial(tmp_path):
    failing = make_trial(tmp_path, "fails")
    assert results(failing, 3)[2] == {"status": "failed", "error": "it broke"}
    with pytest.raises(RunFailedError, match="it broke"):
        failing.step()


def test_a_trial_that_is_stopped_ends_its_run_and_waits_for_it(tmp_path):
    waiting = make_trial(tmp_path, "waits")
    assert [result["step"] for result in results(waiting, 2)] == [2, 4]
    assert waiting.step() == {} and in_use(tmp_path / "runs/0000")
    another = make_trial(tmp_path, "ends")  # of the driver after: it waits for the workdir
    assert another.step() and another.process is None
    waiting.cleanup()
    assert waiting.process.returncode == 75 and not in_use(tmp_path / "runs/0000")
    another.reached["step"] = 6
    assert another.step()["done"]


def test_a_metric_that_is_not_logged_ends_tune(tmp_path):
    told = make_trial(tmp_path, "ends", metric="lose").step()
    assert told == {"refused": "lose", "names": ["loss"]}
    ended = []
    old = signal.signal(signal.SIGUSR1, lambda *_: ended.append(1))
    try:
        Recorder(tmp_path, [], "lose", False, None).on_trial_result(0, [], trial(0), told)
    finally:
        signal.signal(signal.SIGUSR1, old)
    assert ended == [1]


def test_signals_end_tune_once_it_listens():
    ended = []
    with signals_ending_tune() as noted:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.3)
        assert noted == [signal.SIGTERM]
        signal.signal(signal.SIGUSR1, lambda *_: ended.append(1))
        while not ended:
            time.sleep(0.01)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def sweep(folder, *more):
    """A sweep's command in a process of its own, as a user gives it."""
    return [
        sys.executable,
        "-m",
        "metajax.cli.main",
        "sweep",
        "fewshot",
        *SMALL,
        *more,
        "--workdir",
        str(folder),
        "--compilation-cache",
        str(folder.parent / "xla"),
    ]


def rows_of(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


LONG = [
    "--steps",
    "60000",
    "--eval-every",
    "1000",
    "--log-every",
    "1000",
    "--checkpoint-every",
    "10000",
    "--grid",
    "learning-rate=1e-2,3e-3,1e-7",
]


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_goes_on_and_asha_stops_who_is_behind(tmp_path):
    """Killed when the first run is done and the second has begun; the third is far behind."""
    folder, alone = tmp_path / "s", tmp_path / "alone"
    command = sweep(
        folder, *LONG, "--engine", "ray", "--scheduler", "asha", "--grace-period", "1000"
    )
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(folder / "runs/0001/config.json", driver)
    driver.kill()
    driver.wait()
    summary = folder / "runs/0000/summary.json"
    finished = summary.stat().st_mtime_ns
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert summary.stat().st_mtime_ns == finished
    good, middle, bad = rows_of(folder)
    assert (good["status"], bad["status"]) == ("done", "stopped")
    assert middle["status"] in ("done", "stopped")
    assert 1000 <= int(bad["step"]) < 60000 and good["step"] == ""
    assert float(bad["new_tasks/last"]) > float(good["rows.new_tasks.mean[-1]"])
    # it has saved its state, and can be gone on with by hand
    assert "the state is saved" in (folder / "logs/0002.txt").read_text()
    # the engine process starts the very same command
    subprocess.run(sweep(alone, *LONG[:-1], "learning-rate=1e-2"), check=True, capture_output=True)
    (theirs,) = rows_of(alone)
    own = {"run", "seconds"}
    assert {k: v for k, v in theirs.items() if k not in own} == {
        k: good[k] for k in theirs if k not in own
    }
