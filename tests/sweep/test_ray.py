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
    Recorder,
    choose_stopping,
    make_scheduler,
    missing_from,
    share,
)
from metajax.systems import SYSTEMS, Objective, get_system

LEAST = Objective("new_tasks.last", greatest=False, logged="new_tasks/last")
SMALL = [
    "--learner", "ridge", "--width", "8", "--tasks-per-step", "2", "--eval-tasks", "8",
    "--no-progress",
]  # fmt: skip
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
    assert system.objective(next(iter(system.presets.values()))).logged.endswith("/last")


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
    ("num", "metric", "ended", "names"),
    [
        (0, "loss", True, None),  # a run that failed before its first row says so itself
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
def test_a_metric_that_rows_never_hold_is_known_as_soon_as_it_can_be(num, metric, ended, names):
    assert missing_from(ROWS[:num], metric, ended) == names


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


def sweep(folder, *more):
    """A sweep's command in a process of its own, as a user gives it."""
    return [
        sys.executable, "-m", "metajax.cli.main", "sweep", "fewshot", *SMALL, *more,
        "--workdir", str(folder), "--compilation-cache", str(folder.parent / "xla"),
    ]  # fmt: skip


def rows_of(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def wait_for(path, process):
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.02)


GRID = ["--grid", "learning-rate=1e-3,1e-2"]


@pytest.mark.slow
def test_a_driver_killed_in_the_middle_goes_on_to_what_processes_would_have_found(tmp_path):
    folder, other = tmp_path / "ray", tmp_path / "process"
    command = sweep(folder, *SHORT, *GRID, "--seeds", "2", "--engine", "ray", "--workers", "2")
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(folder / "runs/0001/summary.json", driver)
    wait_for(folder / "runs/0002/config.json", driver)
    driver.kill()
    driver.wait()
    finished = {path: path.stat().st_mtime_ns for path in (folder / "runs").glob("*/summary.json")}
    assert 1 <= len(finished) < 4
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    rows = rows_of(folder)
    assert [row["status"] for row in rows] == ["done"] * 4
    subprocess.run(sweep(other, *SHORT, *GRID), check=True, capture_output=True)
    for mine, theirs in zip((rows[0], rows[2]), rows_of(other), strict=True):
        assert {k: v for k, v in mine.items() if k not in ("run", "seconds")} == {
            k: v for k, v in theirs.items() if k not in ("run", "seconds")
        }


LONG = ["--steps", "100000", "--eval-every", "1000", "--log-every", "1000"]


@pytest.mark.slow
def test_asha_stops_a_run_that_falls_behind_and_sigterm_all_of_them(tmp_path):
    folder = tmp_path / "s"
    asha = ["--grid", "learning-rate=1e-2,1e-7", "--engine", "ray", "--scheduler", "asha"]
    command = sweep(folder, *LONG, *asha, "--grace-period", "1000")
    # a metric that there is not ends the sweep with the names of those that there are
    wrong = subprocess.run(
        [*command, "--metric", "new_tasks/lst", "--mode", "min"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert wrong.returncode == 2, wrong.stderr
    assert "metric = 'new_tasks/lst'" in wrong.stderr and "new_tasks/last" in wrong.stderr
    assert rows_of(folder)[0]["status"] == "interrupted"
    # the run that it had begun goes on; a signal is handed on
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    log = folder / "logs/0000.txt"
    size = log.stat().st_size
    while log.stat().st_size == size:
        assert driver.poll() is None
        time.sleep(0.02)
    os.kill(driver.pid, signal.SIGTERM)
    assert driver.wait() == 75, driver.stderr.read()
    assert rows_of(folder)[0]["status"] == "interrupted"
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    good, bad = rows_of(folder)
    assert (good["status"], bad["status"]) == ("done", "stopped")
    assert 1000 <= int(bad["step"]) < 100000 and good["step"] == ""
    assert float(bad["new_tasks/last"]) > float(good["new_tasks.last"])
    assert "1 done, 1 stopped" in done.stdout
    # it has saved its state, and can be gone on with by hand
    assert "the state is saved" in (folder / "logs/0001.txt").read_text()
