"""Tables from CSV files: columns by name, made into numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from metajax.core import ConfigError

MISSING_WORDS = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
"""What a missing value is written as, in any case."""
MOST_VALUES = 30
"""A column of words has at most this many different ones; others are names, and left out."""


class Frame(NamedTuple):
    """A file's cells.

    Attributes:
      names: of the columns.
      cells: the rows, as text, None where a value is missing.
    """

    names: list[str]
    cells: list[list[str | None]]


class CodedFrame(NamedTuple):
    """A table in numbers.

    Attributes:
      inputs: NaN where a value is missing; a column for each value of a column of words.
      labels: places in ``classes``; -1 where the target is missing.
      classes: the different targets.
      notes: what was left out or filled, by column name, in words.
    """

    inputs: Float[np.ndarray, "rows features"]
    labels: Int[np.ndarray, " rows"]
    classes: tuple[str, ...]
    notes: list[str]


def read_frame(path: Path) -> Frame:
    """Read a CSV file with a line of names.

    Args:
      path: of the file.

    Returns:
      Its cells.

    Raises:
      ConfigError: it cannot be read, has no rows, names that are not unique, or lines of other
        lengths.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError("TABLE", str(path), f"a CSV file in UTF-8 ({error})") from error
    if len(lines) < 2:
        raise ConfigError("TABLE", str(path), "a line of names and at least one row")
    names = [name.strip() for name in lines[0]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError("TABLE", twice, "column names that differ")
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(names):
            found = f"{len(line)} cells in line {number}"
            raise ConfigError("TABLE", found, f"{len(names)}, one for each name")
    return Frame(names, [[_cell(cell) for cell in line] for line in lines[1:]])


def _cell(text: str) -> str | None:
    text = text.strip()
    return None if text.lower() in MISSING_WORDS else text


def number_target(frame: Frame, target: str) -> Float[np.ndarray, " rows"] | None:
    """Return a target that is a number, NaN where it is missing, or None where it is a class.

    It is a number where all its known cells are, and these are not all whole or are of more than
    :data:`MOST_VALUES` different values.

    Args:
      frame: the cells.
      target: the name of the column.

    Raises:
      ConfigError: there is no such target.
    """
    found = _numbers(_column(frame, target))
    if found is None:
        return None
    known = found[~np.isnan(found)]
    whole = (known == np.round(known)).all()
    return None if whole and len(np.unique(known)) <= MOST_VALUES else found


def code_frame(frame: Frame, target: str) -> CodedFrame:
    """Make numbers of a frame whose target is a class.

    Args:
      frame: the cells.
      target: the name of the column of classes.

    Returns:
      The other columns as numbers, and the classes.

    Raises:
      ConfigError: there is no such target, it has no known value, or nothing is left to learn from.
    """
    targets = _column(frame, target)
    classes = tuple(sorted({value for value in targets if value is not None}, key=_in_order))
    if not classes:
        raise ConfigError("target", target, "a column with known values")
    labels = np.array([-1 if value is None else classes.index(value) for value in targets])
    inputs, notes = frame_inputs(frame, target, labels >= 0)
    return CodedFrame(inputs, labels, classes, notes)


def _column(frame: Frame, target: str) -> list[str | None]:
    if target not in frame.names:
        raise ConfigError("target", target, "one of " + ", ".join(frame.names))
    place = frame.names.index(target)
    return [row[place] for row in frame.cells]


def frame_inputs(
    frame: Frame, target: str, known: Bool[np.ndarray, " rows"]
) -> tuple[Float[np.ndarray, "rows features"], list[str]]:
    """Make numbers of all columns but one: a column is of numbers where all its known cells are.

    Columns of words become one column for each word, 0 or 1. Columns that do not vary, and columns
    of words that nearly all differ, are left out and named.

    Args:
      frame: the cells.
      target: the column that is left out.
      known: rows that are learned from.

    Returns:
      Numbers, NaN where a value is missing, and notes as :class:`CodedFrame` has them.

    Raises:
      ConfigError: nothing is left to learn from.
    """
    parts: list[np.ndarray] = []
    notes: list[str] = []
    for place, name in enumerate(frame.names):
        if name == target:
            continue
        column = [row[place] for row in frame.cells]
        there = [value for value, is_known in zip(column, known, strict=True) if is_known and value]
        missing = sum(value is None for value in column)
        if len(set(there)) < 2:
            notes.append(f"{name}: left out, it does not vary")
            continue
        numbers = _numbers(column)
        if numbers is not None:
            parts.append(numbers[:, None])
        elif len(set(there)) > MOST_VALUES:
            notes.append(f"{name}: left out, {len(set(there))} different words")
            continue
        else:
            values = sorted(set(there))
            coded = [
                [np.nan if cell is None else float(cell == v) for v in values] for cell in column
            ]
            parts.append(np.array(coded))
            notes.append(f"{name}: {len(values)} different words, a column for each")
        if missing:
            notes.append(f"{name}: {missing} missing, taken for the mean")
    if not parts:
        raise ConfigError("TABLE", ", ".join(frame.names), "a column to learn from")
    return np.concatenate(parts, axis=1), notes


def _numbers(column: Sequence[str | None]) -> np.ndarray | None:
    """Return a column of numbers, or None where a cell is none."""
    try:
        found = np.array([np.nan if cell is None else float(cell) for cell in column])
    except ValueError:
        return None
    return None if np.isinf(found).any() else found


def _in_order(value: str) -> tuple[bool, float, str]:
    """Return what labels are sorted by: numbers as numbers, before words."""
    try:
        return False, float(value), value
    except ValueError:
        return True, 0.0, value


def read_columns(path: Path, names: tuple[str, ...] = ()) -> dict[str, Float[np.ndarray, " rows"]]:
    """Read a CSV file of numbers, NaN where a cell is empty.

    Args:
      path: of the file; its first line names the columns.
      names: the columns that it must have, and no others; of no names, any.

    Returns:
      The columns by name.

    Raises:
      ConfigError: it cannot be read, has other columns, or a cell is no number.
    """
    if path.suffix.lower() != ".csv":
        raise ConfigError("DATA", str(path), "a .csv or .npz file")
    frame = read_frame(path)
    if names and set(names) != set(frame.names):
        raise ConfigError("columns of DATA", ", ".join(frame.names), ", ".join(names))
    columns = {}
    for name, cells in zip(frame.names, zip(*frame.cells, strict=True), strict=True):
        try:
            columns[name] = np.array([np.nan if cell is None else float(cell) for cell in cells])
        except ValueError as error:
            raise ConfigError(f"column {name} of DATA", str(error), "numbers") from error
    return columns
