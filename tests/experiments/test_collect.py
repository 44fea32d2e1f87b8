"""Results are collected from runs of this version and of older ones, in one layout."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from metajax.cli.main import main as metajax
from metajax.cli.sweep import flags
from metajax.systems import configure
from small import tiny_settings

FOLDER = Path(__file__).parents[2] / "experiments"


def script(path):
    """A script, as a module."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_")[:-3], FOLDER / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCHMARKS = {
    "HT": {
        "ways": {"zero": {"mse": 0.2, "mse_square": 0.2, "smape": 1.0, "cpu_seconds": 0.0}},
        "by_round": [0.3, 0.2],
        "tuning": {"generated": [0.5, 0.1], "random": [0.9, 0.4]},
        "maps": {"model": [[0.0]]},
    },
    "WV": {"ways": {"zero": {"mse": 0.3}}, "by_round": [], "tuning": {}, "maps": {}},
    "HZ": {"ways": {"zero": {"mse": 0.4}}},  # before fine-tuning was measured
}
NEW = {"n": 8, "median_relative": 0.3, "low": 0.2, "high": 0.4, "constant_relative": 0.5}
OLDER = {"new_problems": {**NEW, "mse": 2.0, "zero_mse": 7.0}, "benchmarks": BENCHMARKS}
TODAY = {
    "method": "weights",
    "rows": {
        "new_problems": {"mean": [0.3], "low": [0.2], "high": [0.4], "n": 8, "baseline": False},
        "best_constant": {"mean": [0.5], "low": [0.4], "high": [0.6], "n": 8, "baseline": True},
    },
    "more": {"mse": 2.0, "zero_mse": 7.0, "benchmarks": BENCHMARKS},
}


def write_run(workdir, evaluation):
    workdir.mkdir()
    files = {"config": {"system": "hypino", "config": {"seed": 0}}, "eval": evaluation}
    files["summary"] = {"steps": 2, "cpu_seconds": 9.0}
    for name, content in files.items():
        (workdir / f"{name}.json").write_text(json.dumps(content))
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "new_tasks/last": 0.3}]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("evaluation", [OLDER, TODAY], ids=["older", "today"])
def test_runs_of_hypino_are_collected_alike_whatever_their_version(
    evaluation, tmp_path, monkeypatch
):
    write_run(tmp_path / "run", evaluation)
    out = tmp_path / "results" / "tiny.json"
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path / "run"), "--out", str(out)])
    script("hypino/collect.py").main()
    committed = json.loads((FOLDER / "hypino" / "results" / "tiny.json").read_text())
    found = json.loads(out.read_text())
    assert found == {
        "config": {"seed": 0},
        "summary": {"steps": 2, "cpu_seconds": 9.0},
        "new_problems": {**NEW, "mse": 2.0, "zero_mse": 7.0},
        "benchmarks": {name: case["ways"] for name, case in BENCHMARKS.items()},
        "tuned": {"HT": {"generated": 0.1, "random": 0.4}},
        "training": {"2": 0.3},
    }
    # committed before the best constant and fine-tuning were measured
    assert committed["new_problems"].keys() <= found["new_problems"].keys()
    assert committed.keys() <= found.keys()


def test_a_diverged_run_of_hypino_is_collected(tmp_path, monkeypatch, capsys):
    """JSON files hold null for what is not finite."""
    new = TODAY["rows"]["new_problems"] | {"mean": [None], "low": [None], "high": [None]}
    write_run(tmp_path / "run", TODAY | {"rows": TODAY["rows"] | {"new_problems": new}})
    out = tmp_path / "tiny.json"
    monkeypatch.setattr(sys, "argv", ["collect", str(tmp_path / "run"), "--out", str(out)])
    script("hypino/collect.py").main()
    assert json.loads(out.read_text())["new_problems"]["median_relative"] is None
    assert "median relative error" in capsys.readouterr().out


def test_runs_are_kept_with_settings_cost_and_evaluation(tmp_path, monkeypatch):
    """In the layout of the committed results of gpicl."""
    for name in ("a", "b"):
        write_run(tmp_path / name, TODAY)
    out = tmp_path / "results" / "runs.json"
    words = ["collect", *(str(tmp_path / name) for name in ("a", "b")), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    script("collect.py").main()
    committed = json.loads((FOLDER / "gpicl" / "results" / "cpu.json").read_text())
    run = {"config": {"seed": 0}, "summary": {"steps": 2, "cpu_seconds": 9.0}, "eval": TODAY}
    assert json.loads(out.read_text()) == [run, run]
    assert run.keys() == committed[0].keys()


@pytest.mark.parametrize(
    ("folder", "structure", "start"),
    [
        ("maml-0", "hamiltonian", "maml"),
        ("maml,inner_lr=0.001-12", "hamiltonian", "maml,inner_lr=0.001"),
        ("maml-3", "direct", "direct"),
        ("0004", "hamiltonian", "maml"),
    ],
)
def test_a_start_is_called_as_its_runs_folder_without_the_seed(folder, structure, start):
    config = configure("hamiltonian", structure=structure)
    assert script("hamiltonian/rates.py").start_of(Path("runs") / folder, config) == start


@pytest.mark.slow
def test_a_run_adapted_at_its_own_rate_has_its_evaluations_errors(tmp_path, monkeypatch):
    """Before adapting at any rate; a second start joins the file, and none is adapted again."""
    for method in ("maml", "joint"):
        small = tiny_settings("hamiltonian", method)
        words = flags({**small, "steps": 2, "eval_every": 2, "method": method})
        workdir = str(tmp_path / f"{method}-0")
        off = ("--no-progress", "--compilation-cache", "off")
        assert metajax(["train", "hamiltonian", *words, "--workdir", workdir, *off]) == 0
    rates, out = script("hamiltonian/rates.py"), tmp_path / "rates.json"
    for names in (["maml-0"], ["maml-0", "joint-0"]):
        runs = [str(tmp_path / name) for name in names]
        options = ["--rates", "sgd_0.1", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["rates", *runs, *options])
        rates.main()
        found = json.loads(out.read_text())
        if names == ["maml-0"]:
            first = found["starts"]["maml"]
    assert found["starts"]["maml"] == first
    for name, row in (("maml", "adapted"), ("joint", "adapted"), ("random", "first_drawn")):
        workdir = tmp_path / ("joint-0" if name == "joint" else "maml-0")
        evaluation = json.loads((workdir / "eval.json").read_text())
        start = found["starts"][name]["0"]["sgd_0.1"]["coordinates"]
        for end in ("mean", "low", "high"):
            assert start[end][0] == pytest.approx(evaluation["rows"][row][end][0], rel=1e-6)
    polynomial = evaluation["rows"]["polynomial"]["mean"][0]
    assert found["polynomial"]["coordinates"]["mean"] == polynomial
