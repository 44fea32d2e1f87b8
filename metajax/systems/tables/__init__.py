"""Learners that read a small table and predict a column of it: nothing is trained on the table.

``InContextClassifier`` needs scikit-learn, which is imported when it is asked for.
"""

from typing import Any

from metajax.systems.tables.methods import METHODS
from metajax.systems.tables.model import Model, load_model, save_model, shipped
from metajax.systems.tables.problem import Problem, make_problem
from metajax.systems.tables.reading import Table, read_table
from metajax.systems.tables.settings import PRESETS, Settings
from metajax.systems.tables.system import SYSTEM

__all__ = [
    "METHODS",
    "PRESETS",
    "SYSTEM",
    "InContextClassifier",
    "Model",
    "Problem",
    "Settings",
    "Table",
    "load_model",
    "make_problem",
    "read_table",
    "save_model",
    "shipped",
]


def __getattr__(name: str) -> Any:
    if name == "InContextClassifier":
        from metajax.systems.tables.classifier import InContextClassifier

        return InContextClassifier
    raise AttributeError(f"module {__name__} has no attribute {name}")
