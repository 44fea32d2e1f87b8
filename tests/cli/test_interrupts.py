"""Ctrl-C and SIGTERM end every command in one line, with the code that the README names."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from metajax.cli import main as program
from metajax.cli.main import OWN, main
from metajax.commands import COMMANDS
from metajax.core import MetajaxError
from metajax.train import Interrupted

CODES = {signal.SIGINT: 130, signal.SIGTERM: 75}


@pytest.fixture(autouse=True)
def heard():
    """SIGINT as in a terminal, where the tests themselves run under nohup, which ignores it."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


@pytest.mark.parametrize("signum", CODES)
@pytest.mark.parametrize("command", [*OWN, *COMMANDS])
def test_a_signal_ends_any_command_in_one_line(command, signum, monkeypatch, capsys):
    function = f"_{command}" if command in OWN else "_contributed"
    monkeypatch.setattr(program, function, lambda *given: signal.raise_signal(signum))
    before = {number: signal.getsignal(number) for number in CODES}
    assert main([command, "a b"]) == CODES[signum]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"metajax: stopped by {signum.name}; ")
    assert line.endswith(f"To continue: metajax {command} 'a b'")
    assert {number: signal.getsignal(number) for number in CODES} == before


def test_a_signal_is_not_lost_where_python_drops_what_is_raised(monkeypatch, capsys):
    class Dropped:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    def command(argv):
        dropped = Dropped()
        del dropped
        time.sleep(20)
        return 0

    monkeypatch.setattr(program, "_list", command)
    assert main(["list"]) == 130


def test_one_that_is_ignored_stays_ignored(monkeypatch):
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    monkeypatch.setattr(program, "_list", lambda argv: signal.raise_signal(signal.SIGINT) or 0)
    try:
        assert main(["list"]) == 0
    finally:
        signal.signal(signal.SIGINT, old)


def test_a_training_that_saved_says_the_command_too(monkeypatch, capsys):
    def train(argv):
        raise Interrupted(signal.SIGTERM, "step 3")

    monkeypatch.setattr(program, "_train", train)
    assert main(["train", "--workdir", "a b"]) == 75
    (line,) = capsys.readouterr().err.splitlines()
    assert "after step 3; the state is saved" in line
    said = line.rpartition("To continue: ")[2]
    assert shlex.split(said) == ["metajax", "train", "--workdir", "a b"]


@pytest.mark.parametrize(
    ("signum", "seconds"),
    [(signal.SIGINT, 0.7), pytest.param(signal.SIGTERM, 3, marks=pytest.mark.slow)],
)
def test_a_process_ends_at_any_moment_without_a_traceback(signum, seconds, tmp_path):
    with subprocess.Popen(
        [sys.executable, "-m", "metajax.cli.main", "solve", "HZ-G", "--out", str(tmp_path / "out")],
        env=os.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        time.sleep(seconds)
        process.send_signal(signum)
        _, said = process.communicate()
    assert (process.returncode, said.count("\n")) == (CODES[signum], 1), said
    assert "stopped by" in said and not (tmp_path / "out").exists()


def test_other_errors_stay_what_they_are(monkeypatch, capsys):
    def fails(argv):
        raise MetajaxError("words")

    monkeypatch.setattr(program, "_list", fails)
    assert main(["list"]) == 1 and capsys.readouterr().err == "metajax: error: words\n"
