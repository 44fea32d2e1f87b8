"""Runs on disk, as `metajax train` has written them."""

from __future__ import annotations

import json
from typing import Any

from metajax.commands import COMMANDS
from metajax.systems.base import get_system
from metajax.systems.configs import config_from_json
from metajax.train import WorkdirError


def read_run(workdir: Any) -> tuple[Any, Any, dict[str, Any]]:
    """Return the system of a run, its config, and the config as it was written.

    Args:
      workdir: a path of :func:`metajax.train.as_path`.

    Returns:
      The system, or that of the run's kind of problem, its config, and the JSON.

    Raises:
      WorkdirError: the folder does not describe a run; the error says what it is.
      ConfigError: its config is not one of the system's.
    """
    path = workdir / "config.json"
    try:
        saved = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise WorkdirError(_other_kind(workdir) or f"{path} cannot be read: {error}") from error
    if kind := _kind_of_config(workdir, saved):
        raise WorkdirError(kind)
    if not isinstance(saved["system"], str) or not isinstance(saved.get("config"), dict):
        raise WorkdirError(f"{path} does not describe a run: it has no system and config")
    config = config_from_json(get_system(saved["system"]), saved["config"])
    return config.system, config, saved["config"]


def _other_kind(folder: Any) -> str | None:
    """What a folder is that holds no ``config.json`` to be read, in words; None if it holds one."""
    if not folder.exists():
        return f"{folder} is not there; name a folder that metajax train has written"
    if not folder.is_dir():
        return f"{folder} is a file; name a folder that metajax train has written"
    names = {entry.name for entry in folder.iterdir()}
    if "config.json" in names:
        return None
    runs = sorted(name for name in names if (folder / name / "config.json").exists())
    if runs:
        shown = ", ".join(runs[:3]) + (", ..." if len(runs) > 3 else "")
        return f"{folder} is not a run but holds some: name one of {shown}"
    for command, of in COMMANDS.items():
        if names & set(of.writes):
            return f"{folder} was written by metajax {command}: it holds no run"
    if (folder.parent / "config.json").exists():
        return f"{folder} is a part of the run {folder.parent}: name that"
    if not names:
        return f"{folder} is empty; name a folder that metajax train has written"
    return f"{folder} holds no config.json: metajax train has not written it"


def _kind_of_config(folder: Any, saved: Any) -> str | None:
    """What a folder is whose ``config.json`` is not that of ``metajax train``, in words."""
    if not isinstance(saved, dict):
        return f"{folder}/config.json does not describe a run: it holds no mapping"
    if "sweep" in saved:
        runs = folder / "runs"
        names = sorted(entry.name for entry in runs.iterdir()) if runs.is_dir() else []
        each = f"name one of its runs, as {runs / names[0]}" if names else "it has no run yet"
        return f"{folder} is a sweep: {each}; metajax report {folder} shows all of it"
    if "compare" in saved:
        return (
            f"{folder} is a comparison: name one of its runs, in {folder / 'runs'}; metajax report "
            f"{folder} shows all of it"
        )
    if "runs" in saved and "system" not in saved:
        return f"{folder} is the training of many runs of a sweep together, and not one run"
    if "system" not in saved:
        return (
            f"{folder} was written by fit in Python, without a system: its learner is known there "
            "alone (metajax.train.restore_params)"
        )
    return None
