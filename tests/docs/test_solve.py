"""The page on solving PDEs: its problems are read, its commands are ones that the command takes."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from metajax.physics.solver import collocate, read_problem
from metajax.systems.hypino import command

ROOT = Path(__file__).parents[2]
PAGES = ("docs/solve.md", "docs/reference/physics_solver.md")


def blocks(kind):
    """All blocks of a kind, by page."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        yield from re.findall(rf"^```{kind}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", list(blocks("yaml")))
def test_a_problem_of_the_page_is_read_and_taken_at_points(tmp_path, text):
    path = tmp_path / "problem.yaml"
    path.write_text(text, encoding="utf-8")
    found = collocate(read_problem(path), 0, 64, 64)
    assert found.blocks[0].name == "equation" and len(found.blocks) > 1


def test_the_commands_of_the_page_are_taken():
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    lines = "\n".join(blocks("bash")).splitlines()
    commands = list(filter(None, (shlex.split(line, comments=True) for line in lines)))
    assert len(commands) > 2
    for words in commands:
        assert words[:2] == ["metajax", "solve"]
        options = parser.parse_args(words[2:])
        if options.problem.startswith("experiments"):
            problem = read_problem(ROOT / options.problem)
            assert command.with_parameters(problem, options.set).coordinates
