"""Results are collected from runs of this version and of older ones, in one layout."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

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
