"""Learners that read a small table and predict a column of it: nothing is trained on the table.

``InContextClassifier`` and ``InContextRegressor`` need scikit-learn, which is imported when one of
them is asked for.
"""

from typing import Any

from metajax.systems.tables.model import Model, save_model, shipped
from metajax.systems.tables.problem import Problem
from metajax.systems.tables.settings import Settings
from metajax.systems.tables.system import SYSTEM

__all__ = [
    "SYSTEM",
    "InContextClassifier",
    "InContextRegressor",
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
    if name == "InContextRegressor":
        from metajax.systems.tables.regressor import InContextRegressor

        return InContextRegressor
    raise AttributeError(f"module {__name__} has no attribute {name}")
