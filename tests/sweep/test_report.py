"""A sweep's table and page from its results."""

import json

import numpy as np
import pytest

from metajax.sweep import flatten, is_sweep, write_report
from metajax.sweep.report import (
    Configuration,
    describe,
    effect,
    half_width,
    learning_curves,
    rank,
)
from metajax.systems import Objective, config_to_json, configure, get_system
from metajax.train import WorkdirError

METRIC = "rows.new_tasks.mean[-1]"


def row(run, rate, score, status="done", **more):
    values = {"run": run, "rate": rate, "status": status, "error": "", **more}
    return values if score is None else {**values, METRIC: score}


ROWS = [
    row("0000", "0.1", "3.0"),
    row("0001", "0.1", "5.0"),
    row("0002", "0.2", "1.0"),
    row("0003", "0.2", None, "failed", error="step 3 is not finite"),
    row("0004", "0.3", "6.0"),
    row("0005", "0.3", "6.0"),
    row("0006", "0.4", "nan"),
    row("0007", "0.4", "", "waiting"),
]


@pytest.mark.parametrize(
    ("greatest", "order"), [(False, ["0.1", "0.3", "0.2"]), (True, ["0.3", "0.1", "0.2"])]
)
def test_the_best_mean_is_first_and_who_lost_runs_is_behind_who_lost_none(greatest, order):
    ranked = rank(ROWS, ["rate"], Objective(METRIC, greatest))
    assert [one.values for one in ranked] == [*((rate,) for rate in order), ("0.4",)]
    found = {one.values[0]: one for one in ranked}
    assert found["0.1"].mean == 4.0 and found["0.2"].missing == 1
    assert found["0.4"].scores == [] and found["0.4"].missing == 2


def test_the_interval_is_students():
    # two numbers a distance 2 apart: their standard error is 1, and t(.975, 1) = tan(.475 pi)
    assert half_width([3.0, 5.0]) == pytest.approx(np.tan(0.475 * np.pi), rel=1e-6)
    assert half_width([3.0]) is None


def test_numbers_are_found_by_their_path_and_of_lists_the_last():
    evaluation = {
        "score": "accuracy",
        "new": {"curve": [0.1, 0.4], "n": 3, "best": True, "nan": None},
        "motion": [[1.0, 2.0]],
        "empty": [],
    }
    assert flatten(evaluation) == {"new.curve[-1]": 0.4, "new.n": 3}


@pytest.fixture
def folder(tmp_path):
    """A sweep's folder, its runs already over."""
    system = get_system("fewshot")
    identity = {
        "sweep": config_to_json(system, configure(system)),
        "grid": {"method": "maml,anil"},
        "random": {"inner_lr": "log:1e-3:1"},
        "samples": 2,
        "seeds": 1,
        "sweep_seed": 0,
    }
    (tmp_path / "config.json").write_text(json.dumps(identity))
    head = f"run,method,inner_lr,seed,status,seconds,{METRIC},error"
    lines = [
        "0000,maml,0.01,0,done,1,0.5,",
        "0001,maml,0.5,0,done,1,700,",
        "0002,anil,0.01,0,done,1,0.25,",
        "0003,anil,0.5,0,failed,,,step 3 is not finite",
    ]
    (tmp_path / "results.csv").write_text("\n".join([head, *lines]) + "\n")
    for number, loss in enumerate((0.6, 800.0, 0.3)):
        run = tmp_path / f"runs/{number:04d}"
        run.mkdir(parents=True)
        rows = [{"step": step, "loss": loss / step} for step in (1, 2)] + [{"step": 2, "other": 1}]
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def test_the_page_names_the_best_and_draws_every_field(folder):
    assert is_sweep(folder)
    text, page = write_report(folder)
    assert "method=anil, inner_lr=0.01: 0.25" in text and "3 done, 1 failed" in text
    assert "run 0003: step 3 is not finite" in text
    html = page.read_text()
    assert html.count("data:image/png;base64,") == 3
    for name in ("effect_method", "effect_inner_lr", "curves"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_learning_curves_have_gaps_where_the_loss_was_not_finite(folder):
    log = folder / "runs/0000/metrics.jsonl"
    rows = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}, {"step": 3, "loss": 0.25}]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "runs/0002/metrics.jsonl").write_text('{"step": 1, "loss": null}\n')
    write_report(folder)
    read = [{"run": name} for name in ("0000", "0002")]
    curves = learning_curves(folder, read, [Configuration((), ["0000"], [])])
    (line,) = curves.draw().axes[0].get_lines()
    np.testing.assert_array_equal(line.get_xydata(), [[1, 0.5], [2, np.nan], [3, 0.25]])


def test_a_run_that_is_done_without_a_finite_score_is_called_so(folder):
    table = folder / "results.csv"
    table.write_text(
        table.read_text().replace("0001,maml,0.5,0,done,1,700,", "0001,maml,0.5,0,done,1,,")
    )
    rows = [row.split() for row in write_report(folder)[0].splitlines()]
    scores = {tuple(row[:2]): row[2] for row in rows if row and row[0] in ("maml", "anil")}
    assert scores["maml", "0.5"] == "non-finite" and scores["anil", "0.5"] == "-"


def test_a_value_all_of_whose_runs_failed_is_drawn_as_such(folder):
    assert "a cross at the foot" not in write_report(folder)[1].read_text()
    with (folder / "results.csv").open("a") as table:
        table.write("0004,cavia,0.01,0,failed,,,step 1 is not finite\n")
    assert "a cross at the foot" in write_report(folder)[1].read_text()


def test_a_sweep_of_which_nothing_is_done_has_a_page_too(folder):
    table = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join([table[0], table[4]]) + "\n")
    text, page = write_report(folder)
    assert "1 failed" in text and "best by" not in text and page.exists()


def test_what_is_no_sweep_is_refused(tmp_path):
    assert not is_sweep(tmp_path)
    with pytest.raises(WorkdirError, match="does not describe a sweep"):
        write_report(tmp_path)
    (tmp_path / "config.json").write_text('{"sweep": {"system": "fewshot", "config": {}}}')
    with pytest.raises(WorkdirError, match="does not describe a sweep"):
        write_report(tmp_path)


def test_a_curve_of_one_point_is_seen_and_the_best_stands_out(folder):
    (folder / "runs" / "0000").mkdir(parents=True, exist_ok=True)
    (folder / "runs" / "0000" / "metrics.jsonl").write_text('{"step": 5, "loss": 1.5}\n')
    figure = learning_curves(folder, [{"run": "0000"}], [Configuration(("maml",), ["0000"], [0.5])])
    (line,) = figure.draw().axes[0].lines
    assert line.get_marker() == "o" and line.get_ydata().tolist() == [1.5]


def test_a_field_that_alone_is_swept_is_shown_with_its_own_intervals_over_seeds():
    objective = Objective(METRIC, greatest=False, title="squared error")
    ranked = rank(ROWS[:2] + ROWS[4:6], ["rate"], objective)
    figure = effect("rate", ranked, 0, objective, continuous=False)
    axes = figure.draw().axes[0]
    (bars,) = axes.containers[0].lines[2]
    lengths = [float(np.ptp(segment[:, 1])) for segment in bars.get_segments()]
    assert lengths == pytest.approx([2 * half_width([3.0, 5.0]), 0.0])
    assert axes.get_ylabel() == "squared error" and "95% interval over them" in figure.caption
    text = describe(ROWS, ["rate"], objective, rank(ROWS, ["rate"], objective))
    assert f"squared error: {METRIC} in results.csv" in text
    assert text.splitlines()[0].split() == ["rate", "squared", "error", "±95%", "runs"]
