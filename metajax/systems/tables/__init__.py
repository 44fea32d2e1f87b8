"""Learners that read a small table and predict a column of it: nothing is trained on the table.

``InContextClassifier`` needs scikit-learn, which is imported when it is asked for.
"""

from typing import Any

from metajax.systems.tables.model import Model, save_model, shipped
from metajax.systems.tables.problem import Problem
from metajax.systems.tables.settings import Settings
from metajax.systems.tables.system import SYSTEM

__all__ = [
    "SYSTEM",
    "InContextClassifier",
    "Model",
    "Problem",
    "Settings",
    "save_model",
    "shipped",
]


def __getattr__(name: str) -> Any:
    if name == "InContextClassifier":
        from metajax.systems.tables.classifier import InContextClassifier

        return InContextClassifier
    raise AttributeError(f"module {__name__} has no attribute {name}")
