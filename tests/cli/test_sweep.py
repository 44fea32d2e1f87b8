"""``metajax sweep``: what it refuses, and one from end to end."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metajax.cli.arguments import parse_train
from metajax.cli.main import main
from metajax.cli.sweep import flags, read_request
from metajax.core import ConfigError
from metajax.sweep import check_traceable, expand
from metajax.systems import SYSTEMS, get_system
from runs import contents
from small import RIDGE


def sweep(folder, *more, small=RIDGE):
    return main(
        ["sweep", "fewshot", *small, "--workdir", str(folder), "--compilation-cache", "off", *more]
    )


def rows_of(folder):
    with (folder / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


TOGETHER = ["--grid", "learning-rate=1e-3,1e-2", "--seeds", "2", "--engine", "vmap"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "s"
    assert sweep(folder, *TOGETHER) == 0
    return folder


def test_one_program_leaves_runs_a_table_and_a_report(swept, capsys):
    rows = rows_of(swept)
    assert [(row["learning_rate"], row["seed"]) for row in rows] == [
        ("0.001", "0"),
        ("0.001", "1"),
        ("0.01", "0"),
        ("0.01", "1"),
    ]
    assert all(row["status"] == "done" for row in rows)
    assert all(float(row["rows.new_tasks.mean[-1]"]) > 0 for row in rows)
    summary = json.loads((swept / "runs/0003/summary.json").read_text())
    assert summary["steps"] == 6 and summary["trained_together"] == 4
    page = (swept / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 2 and "best by the least" in page
    # a run of it is a run: it can be evaluated again from its checkpoint
    before = (swept / "runs/0003/eval.json").read_text()
    assert main(["eval", str(swept / "runs/0003"), "--compilation-cache", "off"]) == 0
    assert (swept / "runs/0003/eval.json").read_text() == before
    (swept / "effect_learning_rate.png").unlink()
    assert main(["report", str(swept)]) == 0
    assert (swept / "effect_learning_rate.png").exists()
    best = min(
        ("0.001", "0.01"),
        key=lambda rate: sum(
            float(row["rows.new_tasks.mean[-1]"]) for row in rows if row["learning_rate"] == rate
        ),
    )
    assert f"mean over 2 seeds: learning_rate={best}" in capsys.readouterr().out


def test_the_same_command_finds_it_done_and_another_is_refused(swept, capsys):
    runs = contents(swept / "runs")
    assert sweep(swept, *TOGETHER) == 0
    assert contents(swept / "runs") == runs
    everything = contents(swept)
    capsys.readouterr()
    assert sweep(swept, *TOGETHER[:2], "--seeds", "3") == 1
    error = capsys.readouterr().err
    assert "another config" in error and "seeds is 2 there and 3 here" in error
    assert contents(swept) == everything


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--grid", "learning_rater=1"],
            ["learning_rater'", "did you mean 'learning_rate'"],
        ),
        (
            ["--grid", "inner_lr=0.1"],
            ["inner_lr'", "an option of maml", "not of ridge"],
        ),
        (["--grid", "learning_rate=0.1,-1"], ["learning_rate = -1.0", "above 0"]),
        (["--grid", "learning_rate"], ["grid = 'learning_rate'", "FIELD=VALUES"]),
        (["--grid", "learning-rate=1", "--grid", "learning_rate=2"], ["each field once"]),
        (["--grid", "width=4,8"], ["grid = 'width'", "not fixed too"]),
        (["--random", "learning_rate=log:0:1", "--samples", "2"], ["ends above 0"]),
        (["--random", "learning_rate=log:1:2"], ["samples = None"]),
        (["--grid", "layers=1,2", "--engine", "vmap"], ["layers is not one of them", "process"]),
        (["--grid", "clip_norm=none,1", "--engine", "vmap"], ["only numbers for clip_norm"]),
        (["--engine", "vmap", "--on-nonfinite", "skip"], ["on_nonfinite = 'skip'", "process"]),
        (["--grid", "tasks=sinusoid,images", "--rotations"], ["scored alike"]),
        (["--workers", "0"], ["workers = 0"]),
        (["--seeds", "0"], ["seeds = 0"]),
    ],
)
def test_bad_sweeps_are_refused_before_anything_is_written(arguments, words, tmp_path, capsys):
    assert sweep(tmp_path / "s", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("metajax: error: ") and "Traceback" not in error
    for word in words:
        assert word in error
    assert not (tmp_path / "s").exists()


FILE = """
system: fewshot
preset: sinusoid_quick
set: {steps: 8, rotations: true, classes: [5, 2, 3], clip_norm: null}
grid:
  inner-lr: [1e-3, 0.1]
  classes: [[5, 2, 3], [4, 3, 3]]
random: {learning_rate: "log:1e-5:1e-2"}
samples: 3
"""


def test_a_file_says_what_the_command_line_would(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(FILE.replace(", classes: [5, 2, 3]", ""))
    _, request = read_request(["--from", str(path), "--seeds", "4", "--width", "8"])
    assert request.system == "fewshot" and request.preset == "sinusoid_quick"
    assert request.grid == {"inner_lr": "1e-3,0.1", "classes": "5 2 3,4 3 3"}
    assert request.random == {"learning_rate": "log:1e-5:1e-2"}
    assert (request.samples, request.seeds, request.sweep_seed) == (3, 4, 0)
    assert request.rest == ["--steps", "8", "--rotations", "--clip-norm", "None", "--width", "8"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FILE, "not fixed too"),
        ("grids: {}", "did you mean 'grid'"),
        ("[1, 2]", "a mapping of system"),
        ("grid: [1]", "a mapping of fields"),
        ("samples: many", "a whole number"),
        ("{", "a YAML file"),
    ],
)
def test_files_that_are_not_in_order_are_refused(text, words, tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_request(["fewshot", "--from", str(path)])


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_systems_sweep_expands(system):
    path = Path(__file__).parents[2] / "experiments" / system / "sweep.yaml"
    _, request = read_request(["--from", str(path)])
    config, _, _ = parse_train(get_system(request.system), request.preset, request.rest)
    points = expand(
        config, request.grid, request.random, samples=request.samples, seeds=request.seeds
    )
    assert request.system == system and len(points) >= 12
    if "--engine vmap" in path.read_text():
        check_traceable(get_system(system), points)


def test_flags_are_those_of_train():
    values = {"inner_lr": 1e-3, "rotations": False, "classes": (5, 2, 3), "clip_norm": None}
    assert flags(values) == [
        "--inner-lr",
        "0.001",
        "--no-rotations",
        "--classes",
        "5",
        "2",
        "3",
        "--clip-norm",
        "None",
    ]


@pytest.mark.slow
def test_processes_killed_in_the_middle_go_on_and_a_run_that_fails_is_noted(tmp_path):
    """The driver and its run are killed; a run whose loss overflows fails, the others end well."""
    folder = tmp_path / "s"
    learner = ["--method", "maml", *RIDGE[2:4], "--steps", "60", *RIDGE[6:]]
    command = [
        sys.executable,
        "-m",
        "metajax.cli.main",
        "sweep",
        "fewshot",
        *learner,
        "--workdir",
        str(folder),
        "--compilation-cache",
        str(tmp_path / "xla"),
        "--grid",
        "inner_lr=0.01,1e30",
        "--seeds",
        "2",
        "--workers",
        "2",
    ]
    driver = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not (folder / "runs/0000/checkpoints/3/metajax.sha256").exists():
        assert driver.poll() is None
        time.sleep(0.02)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    assert not (folder / "runs/0000/summary.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = rows_of(folder)
    assert [row["status"] for row in rows] == ["done", "done", "failed", "failed"]
    assert "step 1 is not finite" in rows[2]["error"]
    assert "resuming from the checkpoint" in (folder / "logs/0000.txt").read_text()
    assert "2 of 4 runs did not end well" in done.stderr
    # the very bits of a run by itself
    alone = tmp_path / "alone"
    subprocess.run(
        [*command[:3], "train", "fewshot", *learner, "--inner-lr", "0.01", "--workdir", str(alone)],
        check=True,
        capture_output=True,
    )
    digests = [
        json.loads((path / "summary.json").read_text())["params_sha256"]
        for path in (alone, folder / "runs/0000")
    ]
    assert digests[0] == digests[1]
