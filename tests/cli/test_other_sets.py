"""A trained GPICL run is scored on image sets of its user's."""

import json

import numpy as np
import pytest

from metajax.cli.main import main
from metajax.data import prepare


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Sets with `train` alone, with both splits, and of two classes."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 20)
    images = (rng.integers(0, 60, (80, 8, 8)) + 45 * labels[:, None, None]).astype(np.uint8)
    two = labels < 2
    sets = {
        "birds": {"images": images, "labels": labels},
        "fish": {
            "images": images,
            "labels": labels,
            "test_images": images[::2],
            "test_labels": labels[::2],
        },
        "pair": {"images": images[two], "labels": labels[two]},
    }
    for name, arrays in sets.items():
        np.savez(folder / f"{name}.npz", **arrays)
        prepare(name, folder / f"{name}.npz", folder)
    return folder


@pytest.fixture(scope="module")
def options(data_dir):
    return ["--data-dir", str(data_dir), "--compilation-cache", "off"]


@pytest.fixture(scope="module")
def run(tmp_path_factory, options):
    workdir = tmp_path_factory.mktemp("run") / "w"
    small = "--method mlp --width 8 --examples 6 --steps 2 --tasks-per-step 2 --eval-tasks 16"
    small += " --baselines nearest_neighbour"
    code = main(
        ["train", "gpicl", *small.split(), "--no-progress", "--workdir", str(workdir), *options]
    )
    assert code == 0
    return workdir


def test_eval_scores_a_run_on_the_sets_that_are_named(run, options, capsys):
    sets = ["birds", "fish", "pair", "mnist"]
    assert main(["eval", str(run), "--other-sets", *sets, *options]) == 0
    printed = capsys.readouterr().out
    evaluation = json.loads((run / "eval.json").read_text())
    assert evaluation["settings"]["other_sets"] == sets
    rows, more = evaluation["rows"], evaluation["more"]
    scored = [name for name in rows if name.startswith("other.") and not rows[name]["baseline"]]
    assert scored == ["other.birds", "other.fish"]
    # what it was not trained on, all of it where it has no test split
    assert more["other.birds"]["split"] == "train" and more["other.fish"]["split"] == "test"
    assert all(len(rows[name]["mean"]) == 6 for name in scored)
    assert list(more["left_out"]) == ["pair", "mnist"]
    assert "unseen tasks over birds (train)" in printed and "unseen tasks over fish " in printed
    assert "Not evaluated on mnist: not on disk." in printed
    assert "Not evaluated on pair: ways = 3: expected at most 2" in printed
    assert main(["report", str(run)]) == 0


def test_a_set_that_nobody_knows_is_rejected(run, options, capsys):
    before = (run / "eval.json").read_bytes()
    assert main(["eval", str(run), "--other-sets", "brids", *options]) == 2
    assert "other_sets = 'brids'" in capsys.readouterr().err
    assert (run / "eval.json").read_bytes() == before


def test_a_split_that_a_set_does_not_have_is_named_by_its_setting(tmp_path, options, capsys):
    command = ["train", "gpicl", "--base-set", "birds", "--workdir", str(tmp_path / "w"), *options]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "test_split = 'test'" in error and "birds has: train" in error
    assert "train[:80%]" in error
    assert main([*command, "--train-split", "training"]) == 2
    assert "train_split = 'training'" in capsys.readouterr().err
    fewshot = ["train", "fewshot", "--preset", "digits", "--base-set", "birds", *command[4:]]
    assert main(fewshot) == 2
    assert "split = 'train+test'" in capsys.readouterr().err
