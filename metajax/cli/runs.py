"""Runs on disk, as the commands read them."""

from __future__ import annotations

import json
from typing import Any

from metajax.core import ConfigError


def read_run(workdir: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The system of a run, its config, and the config as it was written.

    Args:
      workdir: a path of :func:`metajax.train.as_path`.

    Raises:
      WorkdirError: the folder does not describe a run; the error says what it is.
      ConfigError: its config is not one of the system's.
    """
    from metajax.systems import config_from_json, get_system
    from metajax.train import WorkdirError

    path = workdir / "config.json"
    try:
        saved = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise WorkdirError(other_kind(workdir) or f"{path} cannot be read: {error}") from error
    if kind := kind_of_config(workdir, saved):
        raise WorkdirError(kind)
    if not isinstance(saved["system"], str) or not isinstance(saved.get("config"), dict):
        raise WorkdirError(f"{path} does not describe a run: it has no system and config")
    system = get_system(saved["system"])
    return system, config_from_json(system, saved["config"]), saved["config"]


def may_change(system: Any) -> tuple[str, ...]:
    """What of ``config.json`` may differ when a system's run is resumed, as dotted paths."""
    return tuple(f"config.{name}" for name in ("steps", *system.evaluation))


def check_extension(system: Any, config: Any, workdir: Any) -> None:
    """Refuse other ``steps`` than a run in ``workdir`` has, where its training depends on them.

    Raises:
      ConfigError: it does.
    """
    if not (workdir / "config.json").exists():
        return
    _, there, _ = read_run(workdir)
    tied = system.tied_to_steps(config)
    if tied and there.steps != config.steps:
        raise ConfigError(
            "steps",
            config.steps,
            f"{there.steps}, as the run in {workdir} has: {tied} depends on steps, so it cannot be "
            "extended. Name another workdir to train from scratch, or start over with "
            "--on-changed restart",
        )


def other_kind(folder: Any) -> str | None:
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
    if names & {"solution.npz", "errors.json"}:
        return f"{folder} was written by metajax solve: it holds a solution, and no run"
    if (folder.parent / "config.json").exists():
        return f"{folder} is a part of the run {folder.parent}: name that"
    if not names:
        return f"{folder} is empty; name a folder that metajax train has written"
    return f"{folder} holds no config.json: metajax train has not written it"


def kind_of_config(folder: Any, saved: Any) -> str | None:
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
