"""The family of tables: the shipped reader, scikit-learn's interface, CSV files and the command."""

import csv
import pickle

import jax
import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from metajax.cli.main import main
from metajax.core import ConfigError, digest
from metajax.systems import build, configure
from metajax.systems.setup import first_drawn
from metajax.systems.tables import SYSTEM, InContextClassifier, save_model, shipped
from metajax.systems.tables.model import load_model
from metajax.systems.tables.reading import LARGEST, padded, read_table


def split(load, rows, seed=0):
    inputs, labels = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    known, asked = order[:rows], order[rows:]
    return inputs[known], labels[known], inputs[asked], labels[asked]


def log_loss(likely, labels):
    return -np.log(likely[np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_the_shipped_reader_passes_logistic_regression_on_few_rows(load):
    ours, theirs = [], []
    for seed in range(4):
        x, y, asked, truth = split(load, 30, seed)
        mean, spread = x.mean(0), x.std(0)
        model = LogisticRegression().fit((x - mean) / spread, y)
        theirs.append(log_loss(model.predict_proba((asked - mean) / spread), truth))
        ours.append(log_loss(InContextClassifier().fit(x, y).predict_proba(asked), truth))
    assert np.mean(ours) < np.mean(theirs) - 0.02


@pytest.mark.slow
@parametrize_with_checks([InContextClassifier()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_labels_may_be_words_and_values_may_be_missing():
    x, y, asked, truth = split(load_iris, 30)
    names = np.array(["setosa", "versicolor", "virginica"])
    x = np.concatenate([x, np.full((30, 1), 3.0)], axis=1)
    asked = np.concatenate([asked, np.full((120, 1), 9.0)], axis=1)
    x[::7, 1] = np.nan
    model = InContextClassifier().fit(x, names[y])
    assert model.constant_features_.tolist() == [4] and model.missing_features_.tolist() == [1]
    asked[:5, 2] = np.nan
    assert (model.predict(asked) == names[truth]).mean() > 0.85
    likely = model.predict_proba(asked)
    np.testing.assert_allclose(likely.sum(1), 1)
    again = pickle.loads(pickle.dumps(model)).predict_proba(asked)
    np.testing.assert_array_equal(again, likely)


def test_there_may_be_more_classes_than_were_trained_on():
    rng = np.random.default_rng(0)
    centers = 4 * rng.normal(size=(17, 3))
    labels = np.arange(17 * 6) % 17
    x = centers[labels] + 0.3 * rng.normal(size=(len(labels), 3))
    model = InContextClassifier().fit(x, labels)
    new = centers + 0.3 * rng.normal(size=centers.shape)
    assert model.predict_proba(new).shape == (17, 17)
    assert (model.predict(new) == np.arange(17)).mean() > 0.8


def test_padding_changes_no_answer_and_is_to_few_sizes():
    assert [padded(size, 8) for size in (1, 8, 9, 33)] == [8, 8, 32, 128]
    x, y, asked, _ = split(load_iris, 16)
    expected = read_table(shipped(), x, y).probabilities(asked)
    one_more = np.concatenate([x, np.zeros((16, 5))], axis=1), np.pad(asked, ((0, 0), (0, 5)))
    found = read_table(shipped(), one_more[0], y).probabilities(one_more[1])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_too_many_rows_and_infinite_values_are_rejected():
    x = np.zeros((LARGEST + 1, 1))
    with pytest.raises(ConfigError, match="rows"):
        InContextClassifier().fit(x, np.arange(len(x)) % 2)
    with pytest.raises(ConfigError, match="infinite"):
        read_table(shipped(), np.array([[np.inf], [0.0]]), np.array([0, 1]))


@pytest.mark.slow
def test_two_thousand_rows_take_seconds():
    """In CPU time of all threads, compiling included: 10 s of wall time on 2 cores."""
    import time

    rng = np.random.default_rng(0)
    x = rng.normal(size=(LARGEST, 30))
    y = (x[:, 0] + rng.normal(size=LARGEST) > 0).astype(int)
    began = time.process_time()
    model = InContextClassifier().fit(x[:2000], y[:2000])
    model.predict_proba(x)
    assert time.process_time() - began < 40


@pytest.mark.slow
def test_the_evaluation_shows_the_weights_as_first_drawn():
    """What was never trained is as good as these are, on the same tables."""
    setup = build(configure("tables", seed=3, **SYSTEM.tiny))
    key = jax.random.key(3)
    drawn = first_drawn(setup.method.learner, setup.problem.new, key)
    rows = setup.evaluate(drawn, False)["rows"]
    assert rows["first_drawn"]["baseline"] and not rows["new_tasks"]["baseline"]
    assert rows["first_drawn"]["mean"] == rows["new_tasks"]["mean"]
    moved = jax.tree.map(lambda leaf: leaf + 0.3, drawn)
    again = setup.evaluate(moved, False)["rows"]
    assert again["first_drawn"] == rows["first_drawn"]
    assert again["new_tasks"]["mean"] != rows["new_tasks"]["mean"]


def test_a_model_survives_its_file(tmp_path):
    model = shipped()
    path = tmp_path / "model.msgpack"
    save_model(path, model)
    again = load_model(path)
    assert again.config == model.config and again.origin == model.origin
    assert digest(again.params) == digest(model.params)
    assert "metajax train tables" in model.origin["command"] and "seed" in model.origin
    with pytest.raises(ConfigError, match="does not exist yet"):
        save_model(path, model)
    path.write_bytes(b"no model")
    with pytest.raises(ConfigError, match="save_model"):
        load_model(path)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(model.params))
    assert 1_000 < numbers < 100_000


def write(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_the_command_predicts_what_is_missing(tmp_path, capsys):
    inputs, labels = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)[:60]
    rows = [
        [*inputs[i], "" if place >= 40 else f"kind{labels[i]}"] for place, i in enumerate(order)
    ]
    path = write(tmp_path / "iris.csv", ["a", "b", "c", "d", "kind"], rows)
    words = ["predict", "--shipped", str(path), "--target", "kind"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "40 known rows, 3 classes" in said and "20 rows without a target" in said
    with (tmp_path / "iris-predicted.csv").open() as file:
        found = list(csv.DictReader(file))
    assert len(found) == 60
    right = [row["predicted"] == f"kind{labels[i]}" for row, i in zip(found, order, strict=True)]
    assert np.mean(right[:40]) > 0.85 and np.mean(right[40:]) > 0.85
    for row in found:
        assert sum(float(row[f"p(kind{k})"]) for k in range(3)) == pytest.approx(1, abs=1e-3)
    assert (tmp_path / "iris-predicted.png").stat().st_size > 10_000
    # what is there already is kept
    assert main(words) == 2
    assert "does not exist yet" in capsys.readouterr().err
    assert main(["predict", str(path), "--target", "kind"]) == 2
