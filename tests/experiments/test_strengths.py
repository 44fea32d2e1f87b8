"""Runs of several strengths and seeds are collected by strength, seeds in their order."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "experiments" / "continual" / "strengths.py"


@pytest.fixture(scope="module")
def strengths():
    spec = importlib.util.spec_from_file_location("strengths", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_run(folder, strength, seed, final):
    folder.mkdir(parents=True)
    means = {"final": 0.5, "inferred": 0.4}
    more = {"final": final, "during": 1.0, "forgetting": 1 - final, "chance": 0.1}
    more |= {"class_means": means, "numbers": {"predicting": 7, "learning": 0}}
    summary = {"train_cpu_seconds": 2.0, "hardware": {"platform": "cpu"}, "versions": {}}
    config = {"seed": seed, "strength": strength, "steps": 5}
    files = {"config": {"config": config}, "summary": summary}
    files["eval"] = {"setting": "toys", "more": more}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def test_figures_are_kept_by_strength_in_the_order_of_seeds(strengths, tmp_path):
    finals = {(1.0, 1): 0.3, (0.1, 1): 0.7, (1.0, 0): 0.2, (0.1, 0): 0.6}
    for number, ((strength, seed), final) in enumerate(finals.items()):
        write_run(tmp_path / "runs" / f"{number:04}", strength, seed, final)
    (tmp_path / "runs" / "0009").mkdir()  # a run that did not end well
    found = strengths.collect(tmp_path)
    assert [group["strength"] for group in found["strengths"]] == [0.1, 1.0]
    assert [group["seeds"] for group in found["strengths"]] == [[0, 1], [0, 1]]
    assert [group["final"] for group in found["strengths"]] == [[0.6, 0.7], [0.2, 0.3]]
    assert found["settings"] == {"steps": 5} and found["train_cpu_seconds"] == 8.0
    assert "verified" not in found["strengths"][0]
    with pytest.raises(SystemExit, match="no run"):
        strengths.collect(tmp_path / "none")


def test_every_method_with_a_strength_has_some_to_try(strengths):
    from metajax.systems import configure, get_system

    methods = get_system("continual").methods
    having = {name for name in methods if hasattr(configure("continual", method=name), "strength")}
    assert having == strengths.STRENGTHS.keys()
