"""Families of problems, one folder each, with the published methods for them."""

import importlib
from typing import Any

from metajax.systems.base import SYSTEMS, Method, Objective, Setup, System, Use, get_system
from metajax.systems.configs import (
    Config,
    config_from_json,
    config_to_json,
    config_type,
    configure,
    field_types,
    methods_with,
    replace,
    setting_types,
    split,
    tied_to_steps,
    traced_fields,
)
from metajax.systems.loading import Run, load
from metajax.systems.options import options_type, summary
from metajax.systems.page import write_page
from metajax.systems.runs import read_run
from metajax.systems.scores import Evaluation, Interval, Row, interval
from metajax.systems.setup import build, check_fits, make_method
from metajax.systems.show import Figure
from metajax.systems.standings import Standing, rivals, standing
from metajax.systems.training import Training
from metajax.using import Adapted, Labels, Told, load_exported

__all__ = [
    "SYSTEMS",
    "Adapted",
    "Config",
    "Evaluation",
    "Figure",
    "Interval",
    "Labels",
    "Method",
    "Objective",
    "Row",
    "Run",
    "Setup",
    "Standing",
    "System",
    "Told",
    "Training",
    "Use",
    "build",
    "check_fits",
    "config_from_json",
    "config_to_json",
    "config_type",
    "configure",
    "field_types",
    "get_system",
    "interval",
    "load",
    "load_exported",
    "make_method",
    "methods_with",
    "options_type",
    "read_run",
    "replace",
    "rivals",
    "setting_types",
    "split",
    "standing",
    "summary",
    "tied_to_steps",
    "traced_fields",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name in SYSTEMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'metajax.systems' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *SYSTEMS})
