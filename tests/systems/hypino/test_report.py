"""Scores inside the domain and over the square, and the published figures beside them."""

import jax.numpy as jnp
import numpy as np
import pytest

from metajax.physics.pde import PUBLISHED, benchmark
from metajax.systems.hypino.benchmarking import PreparedBenchmark, grid_errors
from metajax.systems.hypino.evaluate import median
from metajax.systems.hypino.report import PAPER, figures, table, title


def test_the_mean_over_the_square_counts_the_masked_part_as_right():
    """As published: solution and reference are 0 outside the domain, and count there."""
    known = benchmark("PS-L")
    case = PreparedBenchmark(None, None, None, None, known.place, known.reference)
    u = np.ones((129, 129))  # what stands in the missing quadrant does not count
    found = grid_errors(u, case)
    square, mask = np.zeros((129, 129)), np.zeros((129, 129), bool)
    square[known.place], mask[known.place] = np.asarray(known.reference), True
    expected = np.mean((np.where(mask, u, 0.0) - square) ** 2)
    assert found["mse_square"] == pytest.approx(expected, rel=1e-5)
    assert found["mse"] == pytest.approx(np.mean((1 - np.asarray(known.reference)) ** 2), rel=1e-5)
    assert found["mse_square"] == pytest.approx(found["mse"] * mask.mean(), rel=1e-5)
    assert 0.75 < mask.mean() < 0.76
    exact = grid_errors(jnp.asarray(square), case)
    assert exact["mse"] == exact["mse_square"] == 0


def test_the_median_has_an_interval_unless_an_error_is_unknown():
    errors = np.random.default_rng(0).exponential(size=101).astype(np.float32)
    found = median(errors)
    (middle,), (low,), (high,) = found[:3]
    assert middle == np.median(errors) and found.n == 101
    assert np.sort(errors)[35] < low < middle < high < np.sort(errors)[65]
    errors[7] = np.inf
    assert np.isnan(median(errors)[:3]).all() and median(errors).n == 101


def test_published_figures_stand_under_their_own_benchmarks():
    """Whatever benchmarks an evaluation has, and in whatever order."""
    row = {"ways": {"zero": {"mse": 0.5}}}
    scores = {"mean": [1.0], "low": [1.0], "high": [1.0], "n": 1}
    more = {"mse": 1.0, "zero_mse": 1.0, "benchmarks": {"WV": row, "PS-L": row}}
    rows = dict.fromkeys(("new_problems", "best_constant"), scores)
    lines = table({"method": "weights", "rows": rows, "more": more}).splitlines()
    (best,) = [line for line in lines if line.startswith("HyPINO 10, published")]
    assert [float(cell) for cell in best.split()[3:]] == [1.2e-1, 2.7e-4]
    assert all(tuple(errors) == PUBLISHED for errors in PAPER.values())


@pytest.mark.parametrize("names", [["HT"], ["WV", "PS-L"], list(PUBLISHED)])
def test_every_benchmark_has_one_place_on_the_axis(names):
    case = {"ways": {"zero": {"mse": 0.5}, "refined_1": {"mse": 0.1}}, "tuning": None}
    made = figures({"more": {"benchmarks": dict.fromkeys(names, case)}}, [])
    (by_way,) = [figure for figure in made if figure.name == "by_way"]
    axes = by_way.draw().axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == names
    for line in axes.lines:
        assert line.get_xdata().tolist() == list(range(len(names)))
    assert "training" not in [figure.name for figure in made]
    assert title("refined_1").strip() == "refined 1 round"
