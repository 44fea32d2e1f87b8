"""Commands on a run, and a sweep, whose folder is in a store."""

import json
import shlex

import pytest

import stores
from metajax.cli.arguments import parse_train
from metajax.cli.main import main
from metajax.systems import get_system
from small import RIDGE

SMALL = [*RIDGE, "--compilation-cache", "off"]


def test_train_eval_and_report(bucket, capsys):
    argv = ["train", "fewshot", *SMALL, "--workdir", "gs://bucket/a run"]
    assert main(argv) == 0
    folder = bucket / "a run"
    assert {path.name for path in folder.iterdir()} >= {
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "eval.json",
        "summary.json",
        "report.html",
        "training.png",
    }
    assert "report: gs://bucket/a run/report.html" in capsys.readouterr().out
    said = shlex.split(json.loads((folder / "summary.json").read_text())["command"])
    assert said == ["metajax", *argv]
    _, _, workdir = parse_train(get_system("fewshot"), None, said[3:])
    assert str(workdir) == "gs://bucket/a run"
    before = (folder / "eval.json").read_bytes()
    for name in ("eval.json", "report.html"):
        (folder / name).unlink()
    assert main(["eval", "gs://bucket/a run", "--compilation-cache", "off"]) == 0
    assert (folder / "eval.json").read_bytes() == before
    assert main(["report", "gs://bucket/a run"]) == 0
    assert (folder / "report.html").exists()
    capsys.readouterr()
    assert main(argv) == 0  # again: it is done
    assert main([*argv, "--tasks-per-step", "3"]) == 1
    assert "tasks_per_step is 2 there and 3 here" in capsys.readouterr().err
    assert main(["eval", "gs://bucket"]) == 1
    assert "holds some: name one of a run" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["vmap", "process"])
def test_a_sweep(engine, bucket, tmp_path, monkeypatch, capsys):
    stores.have_processes_register(tmp_path, monkeypatch)
    argv = ["sweep", "fewshot", *SMALL, "--workdir", "gs://bucket/s", "--engine", engine]
    assert main([*argv, "--grid", "learning-rate=1e-3,1e-2"]) == 0, capsys.readouterr().err
    folder = bucket / "s"
    assert (folder / "results.csv").read_text().count(",done,") == 2
    assert (folder / "report.html").exists()
    assert main(["report", "gs://bucket/s"]) == 0
    if engine == "process":
        assert (folder / "logs/0000.txt").exists()
    assert main(["eval", "gs://bucket/s"]) == 1
    assert "is a sweep: name one of its runs" in capsys.readouterr().err


def test_ray_has_no_store(bucket, capsys):
    argv = ["sweep", "fewshot", "--workdir", "gs://bucket/s", "--engine", "ray"]
    assert main([*argv, "--grid", "learning-rate=1e-3,1e-2"]) == 2
    assert capsys.readouterr().err.startswith("metajax: error: engine = 'ray': expected process")
