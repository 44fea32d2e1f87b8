"""Commands that packages contribute: found by name, listed without importing what runs them."""

import argparse
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import metajax.cli
from metajax.cli.main import main
from metajax.commands import COMMANDS
from metajax.systems import SYSTEMS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_contributed_command_takes_arguments_and_runs(name, capsys):
    module = importlib.import_module(COMMANDS[name].module)
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    assert parser.description and callable(module.run)
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith(f"usage: metajax {name}") and "--compilation-cache" in said


def test_help_lists_contributed_commands_and_imports_no_more_than_words():
    code = (
        "import sys; from metajax.cli.main import main; main(['--help']);"
        "print([name for name in ('jax', 'numpy', 'metajax.core', 'metajax.systems')"
        " if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, imported = done.stdout.splitlines()
    assert imported == "[]"
    for name, command in COMMANDS.items():
        at = lines.index(f"  metajax {name} {command.usage[0]}")
        assert [line.strip() for line in lines[at + 1 :][: len(command.usage) - 1]] == list(
            command.usage[1:]
        )


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    assert main(["slove", "PS-C"]) == 2
    assert "did you mean 'solve'" in capsys.readouterr().err


def test_the_command_line_names_no_system():
    """What systems there are, and what they add to it, it looks up."""
    for path in Path(metajax.cli.__path__[0]).glob("*.py"):
        found = re.findall(rf"\b({'|'.join(SYSTEMS)})\b", path.read_text(encoding="utf-8"))
        assert not found, (path.name, found)
