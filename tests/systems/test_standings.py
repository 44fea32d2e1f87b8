"""Where a trained method stands, compared with the best baseline of its tasks."""

import math

import pytest

from metajax.systems import Evaluation, Interval, Row, get_system, rivals, standing


def row(mean, half, baseline=True, title="the baseline"):
    ends = {"mean": [0.0, mean], "low": [0.0, mean - half], "high": [0.0, mean + half]}
    return {"title": title, **ends, "n": 9, "baseline": baseline}


def rows(own, *others):
    against = {"compared_with": "test"}
    named = {f"baseline{index}": other | against for index, other in enumerate(others)}
    return {"test": own | {"baseline": False, "compared_with": None}, **named}


def test_the_lead_over_the_best_baseline_has_the_interval_of_a_difference():
    found = standing(rows(row(0.7, 0.03), row(0.5, 0), row(0.8, 0.04, title="the best")), True)
    assert found.baseline == "the best" and found.verdict == "worse"
    assert found.lead == pytest.approx(-0.1)
    assert (found.low, found.high) == pytest.approx((-0.15, -0.05))  # 3, 4, 5


@pytest.mark.parametrize(("own", "verdict"), [(0.5, "worse"), (0.78, "level"), (0.95, "better")])
def test_the_verdict_is_by_the_interval_and_errors_turn_it(own, verdict):
    turned = {"worse": "better", "better": "worse", "level": "level"}
    both = rows(row(own, 0.03), row(0.8, 0.04))
    assert standing(both, True).verdict == verdict
    errors = standing(both, False)
    assert errors.verdict == turned[verdict] and errors.low <= errors.lead <= errors.high


def test_an_interval_that_is_longer_on_one_side_keeps_its_side():
    own, other = row(0.5, 0.0), row(0.3, 0.0)
    own["low"][-1], other["low"][-1] = 0.1, 0.29
    found = standing(rows(own, other), True)
    assert (found.low, found.high) == pytest.approx((-0.2, 0.21))
    found = standing(rows(own, other), False)
    assert (found.low, found.high) == pytest.approx((-0.21, 0.2))


def test_a_baseline_is_compared_with_the_first_row_or_as_it_says():
    score = Interval([0.5], [0.4], [0.6], 9)
    found = Evaluation(
        {
            "test": Row("method", score),
            "unseen": Row("method, unseen", score),
            "means": Row("means", score, baseline=True),
            "means_unseen": Row("means", score, baseline=True, compared_with="unseen"),
            "all_data": Row("all data", score, baseline=True, compared_with=None),
        }
    ).to_json()["rows"]
    said = {name: row["compared_with"] for name, row in found.items() if row["baseline"]}
    assert said == {"means": "test", "means_unseen": "unseen", "all_data": None}
    assert rivals(found) == ["means"]


def test_rows_of_older_versions_have_no_rivals():
    older = {name: {"baseline": name != "test"} for name in ("test", "chance")}
    assert rivals(older) == []


def test_without_a_finite_score_nothing_is_said():
    assert standing(rows(row(math.nan, 0.1), row(0.5, 0.1)), True) is None
    assert standing(rows(row(0.5, 0.1)), True) is None
    assert standing(rows(row(0.5, 0.1), row(math.nan, 0.1), row(0.2, 0.1)), True).lead > 0


@pytest.mark.parametrize(("own", "below"), [(0.5, True), (0.78, False), (0.95, False)])
def test_what_a_person_reads_says_that_a_baseline_is_better_where_it_is(own, below):
    evaluation = {
        "rows": rows(row(own, 0.03), row(0.8, 0.04)),
        "greatest": True,
        "metric": "accuracy",
        "axis": "steps",
        "points": [0.0, 1.0],
        "method": "maml",
        "setting": "digits",
    }
    system = get_system("fewshot")
    said = system.said(evaluation)
    sentence = "A baseline that needs no meta-training is better: the baseline, by 0.300 ±0.050."
    assert said == system.table(evaluation) + (f"\n{sentence}" if below else "")
