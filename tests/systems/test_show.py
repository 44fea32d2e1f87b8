"""What tables and figures of an evaluation show, whatever the family."""

import itertools
import math

import matplotlib
import pytest

from metajax.systems import write_page
from metajax.systems.axes import keep_in_sight, make_axes, style
from metajax.systems.numbers import aligned, cell, half_widths, score_at, with_ends, with_half
from metajax.systems.show import (
    Figure,
    curves,
    figures,
    first_row,
    score_lines,
    table,
    told,
)


def interval(title, *means):
    return {
        "title": title,
        "mean": list(means),
        "low": [None if mean is None else mean - 2 for mean in means],
        "high": [None if mean is None else mean + 2 for mean in means],
        "n": 9,
    }


def evaluation(*rows, points=(0, 1, 2), metric="squared error"):
    return {
        "points": list(points),
        "metric": metric,
        "greatest": metric == "accuracy",
        "axis": "gradient steps",
        "method": "maml",
        "setting": "sinusoids",
        "rows": {f"row{index}": row for index, row in enumerate(rows)},
    }


def test_columns_stand_under_each_other_whatever_is_in_them():
    long = "new tasks of which the title is longer than forty-four characters"
    found = evaluation(
        interval("new tasks", 1.0, None, 3.5), interval(long, 1e12, -3e-9, 12345.678)
    )
    head, rule, *lines = table(found).splitlines()[:4]
    assert [line.split()[-3:] for line in lines] == [
        ["1.000", "non-finite", "3.500"],
        ["1.00e+12", "-0.000", "12345.678"],
    ]
    assert len(head) == len(rule) == len(lines[0]) == len(lines[1])
    # the right ends of a column's cells are one above another
    for words in zip(*(line.split()[-3:] for line in (head, *lines)), strict=True):
        ends = {
            line.index(word) + len(word) for line, word in zip((head, *lines), words, strict=True)
        }
        assert len(ends) == 1


def test_a_row_is_said_with_the_interval_of_its_last_score():
    row = interval("new tasks", 1.0, 2.25)
    assert with_ends(row, ".2f") == "2.25 [0.25, 4.25]"
    assert with_half(row, ".2f") == "2.25 ±2.00"
    assert half_widths(row).tolist() == [2, 2]
    assert score_at(row) == (2.25, 0.25, 4.25) and score_at(row, 0) == (1, -1, 3)
    diverged = interval("new tasks", None)
    assert with_ends(diverged, ".2f") == "non-finite [non-finite, non-finite]"
    assert with_half(diverged) == "non-finite ±non-finite"


@pytest.mark.parametrize(
    ("value", "spec", "text"),
    [
        (0.25, ".3f", "0.250"),
        (1234567.0, ".3f", "1.23e+06"),
        (None, ".3f", "non-finite"),
        (math.inf, ".1f", "non-finite"),
        (2.5e-7, ".1e", "2.5e-07"),
    ],
)
def test_a_cell_has_no_more_digits_than_a_person_reads(value, spec, text):
    assert cell(value, spec) == text


def test_a_table_of_no_rows_is_its_head():
    assert aligned([["a", "b"]], first=4, least=3) == ["a     b", "-------"]


def test_no_two_lines_of_a_figure_differ_in_their_color_alone():
    looks = [style(index) for index in range(50)]
    assert len({(look["color"], look["ls"]) for look in looks}) == 50
    # and neighbors differ in more than the color
    assert all(one["ls"] != other["ls"] for one, other in itertools.pairwise(looks))


def test_a_run_that_was_not_meta_trained_has_its_scores_but_no_empty_figure():
    narrow = {**interval("new tasks", 0.5), "low": [0.45], "high": [0.55]}
    single = evaluation(narrow, points=(0,), metric="accuracy")
    made = figures(single, [])
    assert [figure.name for figure in made] == ["scores"]
    drawn = made[0].draw().axes[0]
    assert [label.get_text() for label in drawn.get_yticklabels()] == ["new tasks"]
    low, high = drawn.get_xlim()
    assert sum(low <= tick <= high for tick in drawn.get_xticks()) > 3
    trained = [{"step": 5, "new_tasks/last": 0.5, "new_tasks/last_ci95": 0.1}]
    moving = evaluation(interval("new tasks", 1.0, 2.0, 3.0))
    assert [figure.name for figure in figures(moving, trained)] == ["adaptation", "training"]


def test_an_accuracys_axis_ends_where_accuracies_do():
    found = evaluation(interval("new tasks", 0.2, 0.5, 0.9), metric="accuracy")
    low, high = curves(found).axes[0].get_ylim()  # intervals reach from -1.8 to 2.9
    assert -0.05 <= low <= 0 and 1 <= high <= 1.05


def test_a_logarithmic_axis_is_as_long_as_what_is_drawn():
    _, axes = make_axes("n", "error", "log")
    keep_in_sight(axes, [1.0, 2.0], [0.8], [2.5])
    assert axes.get_ylim() == pytest.approx((0.8 / 1.2, 1.2 * 2.5))
    # an interval below 0 and one that is far too wide
    keep_in_sight(axes, [1.0, 2.0], [-5.0], [1e9])
    assert axes.get_ylim() == pytest.approx((1 / 3, 1.2 * 6.0))


def test_a_page_shows_values_as_a_person_reads_them(tmp_path):
    canvas = matplotlib.figure.Figure()
    values = {"loss": {"last": 0.123456789012345}, "sets": ["a", "b"], "clip": None, "set": "x"}
    page = write_page(
        tmp_path, "t", "s", "text", [Figure("one", "drawn", lambda: canvas)], {"Run": values}
    ).read_text()
    for words in ("<code>last: 0.12345679<", "<code>a, b<", "<code>None<", "<code>x<"):
        assert words in page


def test_lines_of_a_family_follow_the_row_of_the_method_and_its_tasks():
    found = evaluation(interval("new tasks", 1.0, 2.0, 3.5))
    rows = score_lines(found)
    assert told(found, ":", ["  first", "  second"]).splitlines() == [
        *rows,
        "maml, sinusoids:",
        "  first",
        "  second",
    ]
    *before, sentence, own = table(found, over="runs", lines=["own"]).splitlines()
    assert before == rows and own == "own"
    assert sentence == f"maml, sinusoids: {with_half(first_row(found))} (95% interval over 9 runs)."
    assert with_half(first_row(found)) == "3.500 ±2.000"
