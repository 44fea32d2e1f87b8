"""What of a run on disk may change."""

from __future__ import annotations

from typing import Any

from metajax.core import ConfigError


def may_change(system: Any) -> tuple[str, ...]:
    """What of ``config.json`` may differ when a system's run is resumed, as dotted paths."""
    return tuple(f"config.{name}" for name in ("steps", *system.evaluation))


def check_extension(system: Any, config: Any, workdir: Any) -> None:
    """Reject other ``steps`` than a run in ``workdir`` has, where its training depends on them.

    Raises:
      ConfigError: it does.
    """
    if not (workdir / "config.json").exists():
        return
    from metajax.systems import read_run, tied_to_steps

    _, there, _ = read_run(workdir)
    tied = tied_to_steps(config)
    if tied and there.steps != config.steps:
        raise ConfigError(
            "steps",
            config.steps,
            f"{there.steps}, as the run in {workdir} has: {tied} depends on steps, so it cannot be "
            "extended. Name another workdir to train from scratch, or start over with "
            "--on-changed restart",
        )
