"""The benchmark of tables: its splits and scores, and sets that are what they are said to be."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "experiments" / "tables"
pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def benchmark():
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module("benchmark")
    finally:
        sys.path.remove(str(FOLDER))


def test_every_split_holds_every_class_and_no_row_twice(benchmark):
    table = benchmark.LOADERS["iris"]()
    made = list(benchmark.splits(table, 10, 3))
    assert len(made) == 3
    for known, asked in made:
        assert len(known) == 10 and len(asked) == 140 and not set(known) & set(asked)
        assert set(table.labels[known]) == {0, 1, 2}
    again = next(benchmark.splits(table, 10, 1))
    np.testing.assert_array_equal(again[0], made[0][0])
    assert list(benchmark.splits(table, 101, 3)) == []  # fewer than 50 rows remain


def test_numbers_are_standardised_by_the_known_rows_alone(benchmark):
    inputs = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 2.0]])
    table = benchmark.Table("t", inputs, np.array([0, 1, 1]))
    known, asked = benchmark.as_numbers(table, np.array([0, 1]), np.array([2]))
    np.testing.assert_allclose(known, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(asked, [[3, 2]])


def test_scores_have_their_closed_forms(benchmark):
    likely = np.array([[0.8, 0.2], [0.3, 0.7], [0.0, 1.0]])
    found = benchmark.scores(likely, np.array([0, 0, 0]))
    expected = -np.log([0.8, 0.3, benchmark.FLOOR]).mean()
    assert found == {
        "accuracy": pytest.approx(1 / 3, abs=1e-4),
        "log_loss": pytest.approx(expected, abs=1e-4),
    }
    sure = np.array([0.75, 0.75, 0.75, 0.75])
    assert benchmark.calibration_error(sure, np.array([1, 1, 1, 0])) == pytest.approx(0)
    assert benchmark.calibration_error(sure, np.array([0, 0, 0, 1])) == pytest.approx(0.5)


def test_kernel_ridge_gives_probabilities(benchmark):
    x, y = np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])
    likely = benchmark.KernelRidgeClassifier(gamma=5.0).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(likely.sum(1), 1)
    assert (likely.argmax(1) == y).all() and likely.min() > 0.05


def test_a_frames_words_become_columns(benchmark):
    import pandas as pd
    from real_tables import of_frame

    frame = pd.DataFrame(
        {"a": [1, 2, None], "b": ["x", "y", "x"], "c": [0, 0, 0], "y": ["no", "yes", None]}
    )
    table = of_frame("t", frame, "y", ("c",))
    np.testing.assert_array_equal(table.labels, [0, 1])
    np.testing.assert_array_equal(table.inputs, [[1, 1, 0], [2, 0, 1]])
