"""Runs of ``fit`` in processes of their own, by ``tests/train/run_fit.py``."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent / "train" / "run_fit.py"


def start(workdir, *options):
    # quick to compile, and compiled once: the cache of the test session is in the environment
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(workdir), *map(str, options)],
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_two(workdir, *options):
    """Start two processes of four devices each, which train together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    return [
        start(
            workdir,
            *options,
            "--coordinator",
            f"localhost:{port}",
            "--process",
            process,
            "--devices",
            4,
        )
        for process in range(2)
    ]


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def run(workdir, *options):
    return finish(start(workdir, *options))


def completed(workdir, *options):
    """Run to the end; the digest of the final state, and the log as it lies on disk."""
    code, out, err = run(workdir, *options)
    assert code == 0, err
    return json.loads(out)["digest"], (workdir / "metrics.jsonl").read_text()


def contents(folder):
    """Every file of a folder, with its bytes and when it was written."""
    return {
        path.relative_to(folder): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def checkpoints(workdir):
    return sorted(int(p.name) for p in workdir.glob("checkpoints/*") if p.name.isdecimal())
