"""A finished run is extended, and evaluated again with other settings, from the command line."""

import json

import pytest

from metajax.cli.arguments import parse_train
from metajax.cli.folders import sweep_folder
from metajax.cli.main import main
from metajax.systems import get_system
from runs import contents

SMALL = [
    "fewshot",
    "--method",
    "ridge",
    "--tasks-per-step",
    "2",
    "--shots",
    "3",
    "--queries",
    "3",
    "--width",
    "8",
    "--eval-queries",
    "5",
    "--eval-every",
    "4",
    "--log-every",
    "3",
    "--no-progress",
    "--compilation-cache",
    "off",
]


def train(workdir, *more):
    return main(["train", *SMALL, "--eval-tasks", "6", "--workdir", str(workdir), *map(str, more)])


def read(path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 10 steps from the start."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert train(folder, "--steps", 10) == 0
    return folder


def test_more_steps_extend_a_finished_run_to_the_bit(whole, tmp_path):
    assert train(tmp_path / "run", "--steps", 5) == 0
    assert train(tmp_path / "run", "--steps", 10) == 0
    for name in ("config.json", "metrics.jsonl", "eval.json"):
        assert (tmp_path / "run" / name).read_text() == (whole / name).read_text()
    digests = [read(f / "summary.json")["params_sha256"] for f in (tmp_path / "run", whole)]
    assert digests[0] == digests[1]


def test_fewer_steps_and_what_depends_on_them_are_rejected_by_name(whole, tmp_path, capsys):
    before = contents(whole)
    assert train(whole, "--steps", 5) == 2
    assert "steps = 5: expected 10 or more" in capsys.readouterr().err
    assert train(whole, "--steps", 20, "--width", 16) == 1
    assert "config.width is 8 there and 16 here" in capsys.readouterr().err
    assert contents(whole) == before
    folder = tmp_path / "reptile"
    assert train(folder, "--method", "reptile", "--steps", 2) == 0
    before = contents(folder)
    assert train(folder, "--method", "reptile", "--steps", 4) == 2
    error = capsys.readouterr().err
    assert "steps = 4" in error and "method=reptile depends on steps" in error
    assert contents(folder) == before


def test_eval_takes_every_evaluation_field_and_says_in_eval_json_what_it_took(whole, capsys):
    config, log = (whole / "config.json").read_bytes(), (whole / "metrics.jsonl").read_bytes()
    fields = {"eval_tasks": 9, "eval_queries": 4, "eval_steps": 2, "eval_every": 1}
    options = [word for n, v in fields.items() for word in (f"--{n.replace('_', '-')}", str(v))]
    assert main(["eval", str(whole), *options, "--compilation-cache", "off"]) == 0
    evaluation = read(whole / "eval.json")
    assert evaluation["settings"] == fields and evaluation["rows"]["new_tasks"]["n"] == 9
    assert (whole / "config.json").read_bytes() == config
    assert (whole / "metrics.jsonl").read_bytes() == log
    assert main(["report", str(whole)]) == 0
    page = (whole / "report.html").read_text()
    assert "<td>eval_tasks</td><td><code>9</code>" in page
    assert main(["eval", str(whole), "--compilation-cache", "off"]) == 0
    assert read(whole / "eval.json")["settings"]["eval_tasks"] == 6


@pytest.mark.parametrize("more", [["--seed", "1"], ["--width=8"], ["--eval-task", "3"]])
def test_eval_refuses_other_fields_with_the_list_of_those_that_it_takes(more, whole, capsys):
    before = contents(whole)
    assert main(["eval", str(whole), *more]) == 2
    error = capsys.readouterr().err
    assert more[0][2:].partition("=")[0].replace("-", "_") in error
    assert "eval_every, eval_queries, eval_steps, eval_tasks" in error
    assert contents(whole) == before


def test_train_of_a_finished_run_takes_other_evaluation_fields(whole):
    assert train(whole, "--steps", 10, "--eval-tasks", 8) == 0
    assert read(whole / "eval.json")["rows"]["new_tasks"]["n"] == 8
    assert read(whole / "config.json")["config"]["eval_tasks"] == 8
    assert train(whole, "--steps", 10) == 0
    assert read(whole / "config.json")["config"]["eval_tasks"] == 6


def folder(system, preset, *arguments):
    return str(parse_train(get_system(system), preset, list(arguments))[2])


def test_every_sweep_has_a_default_folder_of_its_own():
    def identity(**changes):
        return {"grid": {"width": "8,16"}, "random": {}, "seeds": 1, **changes}

    first = sweep_folder("fewshot", "digits", ["width"], identity())
    assert first == sweep_folder("fewshot", "digits", ["width"], identity())
    assert first.name.startswith("sweep-fewshot-digits-width-")
    others = [identity(grid={"width": "8,32"}), identity(seeds=2), identity(samples=3)]
    names = {first, *(sweep_folder("fewshot", "digits", ["width"], one) for one in others)}
    assert len(names) == 4


def test_a_default_folder_is_that_of_all_runs_that_can_share_it_and_no_others():
    assert folder("gpicl", None) == folder("gpicl", "digits") == "runs/gpicl-digits-0"
    assert folder("gpicl", "cpu", "--seed", "3") == "runs/gpicl-cpu-3"
    same = [
        ["--steps", "9000"],
        ["--eval-tasks", "8", "--other-sets", "random", "digits"],
        ["--num-tasks", str(2**20)],  # as the preset has it
        ["--parallel", "jit", "--log-every", "7"],
    ]
    assert {folder("gpicl", "cpu", *more) for more in same} == {"runs/gpicl-cpu-0"}
    others = [
        ["--num-tasks", "64"],
        ["--num-tasks", "65"],
        ["--num-tasks", "64", "--width", "32"],
        ["--on-nonfinite", "skip"],
        ["--base-set", "emnist/letters"],
        ["--base-set", "emnist-letters"],
        ["--schedule", "cosine"],
        ["--schedule", "cosine", "--steps", "9000"],
        ["--seed", "1"],
    ]
    names = [folder("gpicl", "cpu", *more) for more in others]
    assert len({*names, "runs/gpicl-cpu-0"}) == len(others) + 1
    assert names[0] == "runs/gpicl-cpu-num_tasks=64-0"
    for name in names:
        assert name.count("/") == 1 and len(name) < 200
    # the learning rate of hypino falls until the last step: no run of it can be extended
    assert folder("hypino", "tiny", "--steps", "8000") == "runs/hypino-tiny-steps=8000-0"
    many = ["--classes", "3", "3", "3", *(f"--{n}" for n in ("rotations",)), "--layers", "3"]
    many += ["--learning-rate", "0.00123", "--clip-norm", "1.25", "--tasks-per-step", "3"]
    many += ["--queries", "7", "--channels", "17", "--inner-steps", "9"]
    long = folder("fewshot", "digits", *many)
    assert len(long) < 200 and long != folder("fewshot", "digits", *many, "--width", "3")
