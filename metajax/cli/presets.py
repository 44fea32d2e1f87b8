"""``metajax list``: the systems, and what each of their presets changes."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import textwrap
from typing import Any


def list_command(argv: list[str]) -> int:
    """Run ``metajax list ARGV``; returns the exit code."""
    from metajax.systems import SYSTEMS, configure, get_system

    argparse.ArgumentParser(
        prog="metajax list",
        description="The systems, and for each preset the command that trains it and the settings "
        "that differ from the defaults.",
    ).parse_args(argv)
    for name in SYSTEMS:
        system = get_system(name)
        print(wrapped(f"{name}: {system.summary}"))
        for preset in system.presets:
            config = configure(system, preset)
            changed = [
                f"{field.name}={shown(getattr(config, field.name))}"
                for field in dataclasses.fields(config)
                if getattr(config, field.name) != field.default
            ]
            first = "  (also without --preset)" * (preset == next(iter(system.presets)))
            if config.method != next(iter(system.methods)):
                changed.insert(0, f"method={config.method}")
            print(f"  metajax train {name} --preset {preset}{first}")
            print(wrapped(" ".join(changed) or "the defaults", "      "))
        print()
    print(
        wrapped(
            "`metajax train SYSTEM --preset NAME --help` explains every setting; any can be "
            "changed, as --eval-tasks 100."
        )
    )
    return 0


def shown(value: Any) -> str:
    """Return a setting's value as one word."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def wrapped(text: str, indent: str = "") -> str:
    """Return a paragraph as wide as the terminal, of which no word is broken."""
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
