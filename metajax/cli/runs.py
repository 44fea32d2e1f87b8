"""Runs on disk, as the commands read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from metajax.core import ConfigError


def read_run(workdir: Path) -> tuple[Any, Any, dict[str, Any]]:
    """The system of a run, its config, and the config as it was written.

    Raises:
      WorkdirError: the folder does not describe a run.
      ConfigError: its config is not one of the system's.
    """
    from metajax.systems import config_from_json, get_system
    from metajax.train import WorkdirError

    path = workdir / "config.json"
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WorkdirError(f"{path} does not describe a run: {error}") from error
    if not isinstance(saved, dict) or not {"system", "config"} <= set(saved):
        raise WorkdirError(f"{path} does not describe a run: it has no system and config")
    system = get_system(saved["system"])
    return system, config_from_json(system, saved["config"]), saved["config"]


def may_change(system: Any) -> tuple[str, ...]:
    """What of ``config.json`` may differ when a system's run is resumed, as dotted paths."""
    return tuple(f"config.{name}" for name in ("steps", *system.evaluation))


def check_extension(system: Any, config: Any, workdir: Path) -> None:
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
