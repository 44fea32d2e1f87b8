"""The READMEs name first which methods a baseline without meta-training is better than."""

import re
import sys
from pathlib import Path

import pytest

from metajax.systems import get_system

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def baselines():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import baselines
    yield baselines
    for name in ("baselines", "layouts", "quoting"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def verdicts(baselines):
    return baselines.verdicts()


def test_every_result_is_compared_or_said_to_have_no_baseline(baselines, verdicts):
    results = {
        path.relative_to(FOLDER).as_posix()
        for family in baselines.FAMILIES
        for path in (FOLDER / family).glob("results/*.json")
    }
    compared = {one.path for one in verdicts}
    assert compared | set(baselines.WITHOUT) == results
    assert not compared & set(baselines.WITHOUT)


def test_no_two_lines_are_of_the_same_runs(verdicts):
    named = [(one.path, one.case.method, one.case.data, one.case.setting) for one in verdicts]
    assert len(set(named)) == len(named)


def test_every_method_is_one_of_the_registry(verdicts):
    for one in verdicts:
        assert one.case.method in get_system(one.family).methods, one


def test_a_method_counts_once_on_the_same_data_at_its_best_setting(verdicts):
    counted = [(one.task, one.case.method) for one in verdicts if one.kind == "method"]
    assert len(set(counted)) == len(counted)
    best = {(one.task, one.case.method): one for one in verdicts if one.kind == "method"}
    others = [one for one in verdicts if one.kind == "setting"]
    for one in others:
        assert not one.gain > best[one.task, one.case.method].gain, one
    assert {one.case.method for one in others} >= {"transformer", "svm", "net2net"}


def test_what_a_docstring_calls_a_baseline_is_no_method(baselines, verdicts):
    kinds = {(one.family, one.case.method): one.kind for one in verdicts}
    for of in (("continual", "fine_tuning"), ("hamiltonian", "joint"), ("gpicl", "mlp")):
        assert kinds[of] == "baseline"
    for of in (("continual", "hypernetwork"), ("hamiltonian", "maml"), ("gpicl", "transformer")):
        assert kinds[of] != "baseline"
    for one in verdicts:
        assert (one.kind == "baseline") == baselines.is_baseline(one.family, one.case.method)


def test_features_are_compared_with_the_best_that_nothing_is_trained_for(verdicts):
    for one in verdicts:
        if one.path.endswith("features.json") and "32 features" in one.case.data:
            assert one.found.baseline.startswith("chosen among 1,024 random"), one


def test_the_shared_readme_lists_them(baselines, verdicts):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert baselines.counts(verdicts) in text
    tables = {
        "method": baselines.table(verdicts),
        "baseline": baselines.of_baselines(verdicts),
        "setting": baselines.of_settings(verdicts),
    }
    for kind, table in tables.items():
        assert table in text
        found = re.findall(r" \| (worse|level|better) \|", table)
        of = [one.found.verdict for one in verdicts if one.kind == kind]
        assert found == sorted(found, key=baselines.ORDER.index)
        assert [found.count(each) for each in ("worse", "level")] == [
            of.count(each) for each in ("worse", "level")
        ]
        assert "better" not in found


def test_a_loser_has_the_best_of_ours_on_its_data(baselines, verdicts):
    best = baselines.best_of_ours(verdicts)
    for one in baselines.below(verdicts, "method"):
        other = best[one.task]
        assert other.gain >= one.gain and other.kind == "method"
        said = baselines.best_there(one, other)
        assert (said == "none is above") == (other.found.verdict == "worse")
        assert (said == "this one") == (other is one and other.found.verdict != "worse")


def test_every_family_names_its_losers_before_its_first_section(baselines, verdicts):
    for family in baselines.FAMILIES:
        first = (FOLDER / family / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
        assert baselines.said(family) in first, f"{family}: python experiments/tables.py"
        flat = " ".join(first.split())
        for one in verdicts:
            if one.family == family and one.found.verdict == "worse":
                assert one.kind == "setting" or f"`{one.case.method}`" in flat


def test_rows_of_older_results_say_by_their_names_what_they_are_compared_with(baselines):
    own = ("test", "test_tuned", "views", "wider", "as_unseen", "mean", "other.digits")
    theirs = ("nearest_mean", "small", "test_scratch", "random_in_range")
    elsewhere = ("small_tuned", "views_means", "random_wider", "encoder_unseen")
    elsewhere += ("other.digits.lda", "committed.transformer", "trained")
    named = {name: {"baseline": False} for name in own}
    named |= {name: {"baseline": True} for name in (*theirs, *elsewhere)}
    assert baselines.rivals_of(named) == list(theirs)
    newer = {name: row | {"compared_with": None} for name, row in named.items()}
    newer["views_means"]["compared_with"] = "test"
    assert baselines.rivals_of(newer) == ["views_means"]


def test_a_lead_is_paired_by_seed(baselines):
    row = sys.modules["layouts"].row

    def run(own, other):
        return {
            "test": row("method", own, 0.2),
            "chance": row("chance", 0.0, baseline=True),
            "nearest_mean": row("nearest mean", other, 0.2, baseline=True),
        }

    runs = [run(0.3, 0.4), run(0.5, 0.61), run(0.7, 0.79)]
    found = baselines.judged("a.json", baselines.Case("method", "", "", runs)).found
    assert found.baseline == "nearest mean" and found.verdict == "worse"
    assert found.lead == pytest.approx(-0.1) and found.high - found.lead == pytest.approx(
        0.0248, 0.01
    )
    # of two seeds the interval is over tasks, and errors are better when they are less
    few = baselines.Case("method", "", "", runs[:2], greatest=False)
    found = baselines.judged("a.json", few).found
    assert found.baseline == "chance" and found.lead == pytest.approx(-0.4)
    assert found.high - found.lead == pytest.approx(0.2)
