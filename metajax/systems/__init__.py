"""Published meta-learning systems, one folder each."""

import importlib
from typing import Any

from metajax.systems.base import (
    SYSTEMS,
    Figure,
    Objective,
    Run,
    System,
    config_from_json,
    config_to_json,
    evaluate,
    get_system,
)
from metajax.systems.page import write_page

__all__ = [
    "SYSTEMS",
    "Figure",
    "Objective",
    "Run",
    "System",
    "config_from_json",
    "config_to_json",
    "evaluate",
    "get_system",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name in SYSTEMS:
        return importlib.import_module(SYSTEMS[name])
    raise AttributeError(f"module 'metajax.systems' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *SYSTEMS})
