"""Tables from CSV files: what becomes a number, what is left out, and what is rejected."""

import csv

import numpy as np
import pytest

from metajax.core import ConfigError
from metajax.data import Frame, code_frame, number_target, read_columns, read_frame


def write(path, header, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_file_is_made_into_numbers_and_what_is_left_out_is_named(tmp_path):
    rows = [
        [str(i), f"name{i}", "red" if i % 2 else "blue", "same", "" if i == 3 else i / 7, i % 2]
        for i in range(40)
    ]
    rows[5][-1] = "?"
    path = write(tmp_path / "t.csv", ["id", "name", "color", "unit", "size", "y"], rows)
    table = code_frame(read_frame(path), "y")
    assert table.inputs.shape == (40, 4) and table.classes == ("0", "1")
    assert table.labels[5] == -1 and (np.delete(table.labels, 5) >= 0).all()
    assert np.isnan(table.inputs[3, 3]) and np.isnan(table.inputs).sum() == 1
    notes = "\n".join(table.notes)
    assert "name: left out, 39 different words" in notes
    assert "unit: left out, it does not vary" in notes
    assert "color: 2 different words" in notes and "size: 1 missing" in notes


@pytest.mark.parametrize(
    ("lines", "target", "message"),
    [
        (["a,a", "1,2"], "a", "names that differ"),
        (["a,b", "1"], "b", "1 cells in line 2"),
        (["a,b"], "b", "at least one row"),
        (["a,b", "1,2"], "c", "one of a, b"),
        (["a,b", "1,"], "b", "known values"),
        (["a,b", "1,x", "1,y"], "b", "a column to learn from"),
    ],
)
def test_files_that_cannot_be_learned_are_rejected(tmp_path, lines, target, message):
    path = tmp_path / "t.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=message):
        code_frame(read_frame(path), target)


def test_a_target_of_whole_numbers_is_a_class_unless_there_are_many():
    def kind(*cells):
        return number_target(Frame(["a"], [[cell] for cell in cells]), "a")

    assert kind("1", "2.0", None, "3") is None and kind("x", "1.5") is None
    np.testing.assert_array_equal(kind("1", None, "2.5"), [1, np.nan, 2.5])
    assert kind(*map(str, range(31))) is not None and kind(*map(str, range(30))) is None


def test_columns_of_numbers_are_read_by_name(tmp_path):
    path = write(tmp_path / "t.csv", ["x", "y"], [[1, 2.5], [3, ""]])
    columns = read_columns(path, ("y", "x"))
    np.testing.assert_array_equal(columns["x"], [1, 3])
    np.testing.assert_array_equal(columns["y"], [2.5, np.nan])
    with pytest.raises(ConfigError, match=r"columns of DATA = .*expected x, z"):
        read_columns(path, ("x", "z"))
    with pytest.raises(ConfigError, match="column x of DATA"):
        read_columns(write(tmp_path / "w.csv", ["x"], [["word"], ["1"]]))
    with pytest.raises(ConfigError, match=r"a \.csv or \.npz file"):
        read_columns(tmp_path / "t.txt")
