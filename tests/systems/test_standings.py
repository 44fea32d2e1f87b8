"""Where a trained method stands, compared with the best baseline of its tasks."""

import math

import pytest

from metajax.systems import get_system, rivals, standing


def row(mean, half, baseline=True, title="the baseline"):
    ends = {"mean": [0.0, mean], "low": [0.0, mean - half], "high": [0.0, mean + half]}
    return {"title": title, **ends, "n": 9, "baseline": baseline}


def rows(own, *others):
    named = {f"baseline{index}": other for index, other in enumerate(others)}
    return {"test": own | {"baseline": False}, **named}


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


def test_only_baselines_of_the_first_rows_tasks_are_its_rivals():
    own = ("test", "test_tuned", "views", "wider", "as_unseen", "mean", "other.digits")
    theirs = ("nearest_mean", "small", "test_scratch", "random_in_range")
    elsewhere = ("small_tuned", "views_means", "random_wider", "encoder_unseen")
    elsewhere += ("other.digits.lda", "committed.transformer", "trained")
    named = {name: {"baseline": False} for name in own}
    named |= {name: {"baseline": True} for name in (*theirs, *elsewhere)}
    assert rivals(named) == list(theirs)


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
