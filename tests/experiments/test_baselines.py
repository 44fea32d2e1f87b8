"""The READMEs name first which methods a baseline without meta-training is better than."""

import re
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def baselines():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        import baselines
    yield baselines
    for name in ("baselines", "quoting"):
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
    named = [(one.path, one.case.method, one.case.data) for one in verdicts]
    assert len(set(named)) == len(named)


def test_the_shared_readme_lists_them(baselines, verdicts):
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert baselines.table(verdicts) in text and baselines.counts(verdicts) in text
    found = re.findall(r"\| (worse|level|better) \| [^|]*\|$", text.split("\n## ")[1], re.MULTILINE)
    assert found == sorted(found, key=baselines.ORDER.index)
    assert found.count("worse") == sum(one.found.verdict == "worse" for one in verdicts)


def test_every_family_names_its_losers_before_its_first_section(baselines, verdicts):
    for family in baselines.FAMILIES:
        first = (FOLDER / family / "README.md").read_text(encoding="utf-8").split("\n## ")[0]
        assert baselines.said(family) in first, f"{family}: python experiments/tables.py"
        flat = " ".join(first.split())
        for one in verdicts:
            if one.path.startswith(f"{family}/") and one.found.verdict == "worse":
                assert f"`{one.case.method}`" in flat


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
    def run(own, other):
        return {
            "test": baselines.row("method", own, 0.2),
            "chance": baselines.row("chance", 0.0, baseline=True),
            "nearest_mean": baselines.row("nearest mean", other, 0.2, baseline=True),
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
