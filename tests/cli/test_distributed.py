"""`metajax train` in two processes: one workdir, written by the first, and its refusals."""

import json
import os
import socket
import subprocess
import sys

import pytest

from metajax.cli.main import main

TOGETHER = ["--coordinator", "localhost:1", "--processes", "2", "--process", "0"]


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "metajax.cli.main",
        "train",
        "fewshot",
        "--preset",
        "sinusoid_quick",
        "--width",
        "8",
        "--steps",
        "20",
        "--tasks-per-step",
        "4",
        "--eval-tasks",
        "8",
        "--workdir",
        str(tmp_path / "run"),
        "--compilation-cache",
        "off",
        "--parallel",
        "jit",
        "--coordinator",
        f"localhost:{port}",
        "--processes",
        "2",
    ]
    both = [
        subprocess.Popen(
            [*command, "--process", str(process)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "JAX_NUM_CPU_DEVICES": "2"},
        )
        for process in range(2)
    ]
    (first, second) = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], (first, second)
    assert "report:" in first[0] and "report:" not in second[0]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] == 20 and summary["hardware"]["devices"].startswith("4 x")
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (TOGETHER, "parallel = 'none': expected jit"),
        (["--distributed", "--parallel", "pmap"], "parallel = 'pmap': expected jit"),
        (["--parallel", "jit", *TOGETHER[:2]], "processes = None: expected a value"),
        (["--parallel", "jit", *TOGETHER[:4], "--process", "2"], "process = 2: expected 0 to 1"),
        (["--parallel", "jit", "--coordinator", "here", *TOGETHER[2:]], "expected HOST:PORT"),
    ],
)
def test_refusals(given, message, capsys, tmp_path):
    workdir = tmp_path / "run"
    assert main(["train", "fewshot", "--workdir", str(workdir), *given]) == 2
    assert message in capsys.readouterr().err
    assert not workdir.exists()
