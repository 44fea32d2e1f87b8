"""Where runs and sweeps go by default: a folder for each setting that decides the result."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from metajax.systems import System, configure, tied_to_steps

ROOT = Path("runs")
LONGEST = 80
"""Characters that the changed settings may take in a name; more become a digest."""


def changed_fields(
    system: System, preset: str, config: Any, but: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields in which a config differs from its preset, except those of ``but``."""
    base, usual = configure(system, preset, config.method), configure(system, preset)
    names = [field.name for field in dataclasses.fields(config) if field.name not in set(but)]
    now, before = ({name: getattr(of, name) for name in names} for of in (config, base))
    changed = {name: value for name, value in now.items() if value != before[name]}
    if config.method != usual.method:
        changed = {"method": config.method, **changed}
    return changed


def run_folder(system: System, preset: str, config: Any, on_nonfinite: str) -> Path:
    """Return ``runs/SYSTEM-PRESET-SEED``, with the settings that differ from the preset's named.

    Fields of the evaluation are not part of the name, nor is ``steps`` where a run of fewer can be
    extended: such a command finds the folder of the run that it resumes.
    """
    free = {"seed", *system.evaluation}
    if not tied_to_steps(config):
        free.add("steps")
    changed = changed_fields(system, preset, config, free)
    if on_nonfinite != "stop":
        changed["on_nonfinite"] = on_nonfinite
    middle = f"-{_said(changed)}" if changed else ""
    return ROOT / f"{system.name}-{preset}{middle}-{config.seed}"


def sweep_folder(name: str, preset: str, swept: Iterable[str], identity: Mapping[str, Any]) -> Path:
    """Return ``runs/sweep-SYSTEM-PRESET-FIELDS-DIGEST``, one folder for each sweep."""
    return ROOT / "-".join([f"sweep-{name}-{preset}", *swept, _digest(identity)])


def comparison_folder(name: str, preset: str, identity: Mapping[str, Any]) -> Path:
    """Return ``runs/compare-SYSTEM-PRESET-DIGEST``, one folder for each set of shared settings."""
    return ROOT / f"compare-{name}-{preset}-{_digest(identity)}"


def compared_run(method: str, changed: Mapping[str, Any], seed: int) -> str:
    """Return the name of a comparison's run: the method, its own settings, and the seed."""
    own = f",{_said(changed)}" if changed else ""
    return f"{method}{own}-{seed}"


def _said(changed: Mapping[str, Any]) -> str:
    """Settings as part of a file's name."""
    words = [
        f"{name}={'+'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in changed.items()
    ]
    text = ",".join(words)
    if len(text) <= LONGEST and re.fullmatch(r"[\w.,=+-]+", text):
        return text
    return f"{'+'.join(changed)[:LONGEST]}-{_digest(changed)}"


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
