"""Published meta-learning systems, one folder each."""

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
