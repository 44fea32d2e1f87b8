"""Commands that packages contribute to the command line, by name.

Nothing is imported here, so that ``metajax --help`` answers at once; a command's module is when the
command runs.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A command of ``metajax`` that a package contributes.

    Attributes:
      module: where it lives. Its ``add_arguments(parser)`` adds to an ``argparse.ArgumentParser``
        what the command takes, and its ``run(options) -> exit code`` runs it.
      usage: its lines of ``metajax --help``: the arguments, and what it does.
      kept: what is left where it was cut short.
      writes: files that tell a folder that it wrote.
    """

    module: str
    usage: tuple[str, ...]
    kept: str
    writes: tuple[str, ...] = ()


COMMANDS = {
    "solve": Command(
        "metajax.systems.hypino.command",
        (
            "PROBLEM [--tolerance T] [--set NAME=VALUE] [--out DIR]",
            "solve a PDE, from a YAML file or a benchmark by name, and say whether",
            "the solution is reliable; exit code 3: the verdict is failed",
        ),
        "nothing was written, or not all of it",
        ("solution.npz", "errors.json"),
    ),
    "predict": Command(
        "metajax.systems.predicting",
        (
            "RUN DATA [--target COLUMN] [--steps N] [--out FILE]",
            "adapt a trained run to your images, rows, points or motion, and predict",
            "the queries; with --shipped in place of RUN: predict a column",
            "of a small table from its others, without training",
        ),
        "nothing was written, or not all of it",
    ),
}
"""All contributed commands; a new one joins by an entry here."""
