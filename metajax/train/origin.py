"""Where a result comes from."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from typing import Any

import jax

from metajax.core import digest
from metajax.train.finished import Fit
from metajax.train.software import versions

_LIBRARIES = ("metajax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def provenance(command: str | None = None) -> dict[str, Any]:
    """Return what every file of results says about itself, as JSON values.

    Args:
      command: what made it; by default this process' script and arguments.

    Returns:
      ``command``; ``hardware``, what this process runs on; ``versions`` of Python and of the
      libraries that decide a result.
    """
    devices = jax.devices()
    return {
        "command": shlex.join(["python", *sys.argv]) if command is None else command,
        "hardware": {
            "devices": f"{len(devices)} x {devices[0].device_kind}",
            "platform": devices[0].platform,
            "cpu_cores": os.cpu_count(),
        },
        "versions": {
            "python": platform.python_version(),
            **versions(_LIBRARIES),
        },
    }


def run_summary(
    result: Fit,
    *,
    wall_seconds: float,
    cpu_seconds: float,
    train_cpu_seconds: float,
    command: str,
) -> dict[str, Any]:
    """Return what ``summary.json`` says of a run; seconds are those of the process that ended it.

    Args:
      result: of the training.
      wall_seconds: of all that the process did.
      cpu_seconds: the same, on all cores together.
      train_cpu_seconds: the part of these before the evaluation.
      command: what made the run.

    Returns:
      The summary's values by name.
    """
    return {
        "steps": result.step,
        "skipped_steps": result.skipped,
        "final": next((row for row in reversed(result.history) if "loss" in row), None),
        "wall_seconds": round(wall_seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
        "train_cpu_seconds": round(train_cpu_seconds, 2),
        "compile_seconds": round(result.compile_seconds, 2),
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(result.params)),
        "params_sha256": digest(result.params),
        **provenance(command),
    }
