"""`metajax predict`: what a trained run, or the shipped reader of tables, says of your own data."""

from __future__ import annotations

import argparse
import csv
import functools
from pathlib import Path
from typing import Any

from metajax.core import ConfigError, local_path
from metajax.data import number_target
from metajax.systems.loading import load
from metajax.systems.tables.model import shipped
from metajax.systems.tables.predicting import read_for, told_of_table
from metajax.systems.tables.predicting_numbers import told_of_numbers
from metajax.systems.tables.use import read_by
from metajax.train import check_writable
from metajax.using import FIELD, Told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``metajax predict`` takes."""
    parser.usage = (
        "metajax predict RUN DATA [--target COLUMN] [--steps N] [--export FILE] [--out FILE]\n"
        "       metajax predict --shipped TABLE.csv --target COLUMN [--out FILE]"
    )
    parser.description = (
        "Let a trained run adapt to data of your own and answer what they ask, into a CSV file and "
        "a figure. DATA is an .npz or .csv file, or a folder of images: docs/using.md has the form "
        "of each system. With --shipped the reader of tables that comes with the package predicts "
        "a column of a CSV table from its other columns, and kernel ridges do it for a column of "
        "numbers. Rows whose target is empty are predicted from those whose target is known, and "
        "every known row from the others, a fifth at a time."
    )
    parser.add_argument("paths", nargs="+", metavar="RUN DATA", help="folder of a run, and data")
    parser.add_argument("--target", help="the column to predict, of a table")
    parser.add_argument(
        "--steps", type=int, help="steps of adapting, of a learner that adapts in steps"
    )
    parser.add_argument("--export", type=Path, help="also write the adapted model as a function")
    parser.add_argument(
        "--shipped", action="store_true", help="use the table reader of the package"
    )
    parser.add_argument("--out", type=Path, help="CSV file to write; by default next to the data")
    parser.add_argument("--seed", type=int, help="seed of the fifths of a table; 0 by default")


def run(options: argparse.Namespace) -> int:
    """Adapt and predict, print a summary, and write the predictions and a figure.

    Raises:
      ConfigError: the data or a setting is not in order.
      WorkdirError: the folder is not a run.
    """
    needed = ("TABLE",) if options.shipped else ("RUN", FIELD)
    if len(options.paths) != len(needed):
        expected = " and ".join(needed) + ("" if options.shipped else ", or --shipped and a table")
        raise ConfigError("arguments", " ".join(options.paths), expected)
    data = local_path(options.paths[-1], needed[-1])
    if not data.exists():
        raise ConfigError(needed[-1], str(data), "an existing file or folder")
    out = local_path(options.out or data.with_name(f"{data.stem}-predicted.csv"), "--out")
    figure = out.with_suffix(".png")
    export = None if options.export is None else local_path(options.export, "--export")
    for field, written in (("--out", out), ("--out", figure), ("--export", export)):
        if written is not None and written.exists():
            raise ConfigError(field, str(written), "a file that does not exist yet")
        if written is not None:
            check_writable(written.parent, field)
    if options.seed is not None and not (options.shipped and 0 <= options.seed < 2**31):
        expected = "with --shipped, a whole number of 0 or more, below 2**31"
        raise ConfigError("--seed", options.seed, expected)
    if options.shipped:
        if options.steps is not None:
            raise ConfigError("--steps", options.steps, "none: the shipped reader takes no steps")
        told = told_by_shipped(data, options)
    else:
        told = told_by_run(data, options)
    if export is not None and told.adapted is None:
        raise ConfigError("--export", str(export), "none, for a column of numbers")
    print("\n".join(told.lines))
    out.parent.mkdir(parents=True, exist_ok=True)
    write(out, told.columns)
    told.draw().savefig(figure, dpi=120)
    also = ""
    if export is not None and told.adapted is not None:
        also = f", {told.adapted().export(export)}"
    print(f"written: {out}, {figure.name}{also}")
    return 0


def told_by_shipped(data: Path, options: argparse.Namespace) -> Told:
    """Return what the package says of a table's column, of classes or of numbers.

    Raises:
      ConfigError: the table or its target is not in order.
    """
    frame, target = read_for(data, options.target)
    seed, numbers = options.seed or 0, number_target(frame, target)
    if numbers is not None:
        return told_of_numbers(frame, target, numbers, seed)
    reader = shipped()
    return told_of_table(frame, target, seed, reader, functools.partial(read_by, reader))


def told_by_run(data: Path, options: argparse.Namespace) -> Told:
    """Return what a run says of data.

    Raises:
      ConfigError: the system has no form for files, or the data are not in it.
    """
    trained = load(options.paths[0])
    system = trained.system
    use = system.use_for(trained.config)
    if use is None:
        raise ConfigError("RUN", system.name, "a run of a system that predicts from your own data")
    print(f"{trained}")
    return use.files(trained, data, options.target, options.steps)


def write(path: Path, columns: Any) -> None:
    """Write columns as a CSV file with a line of names."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
