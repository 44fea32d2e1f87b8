"""Learners that read a small table and predict a column of it: nothing is trained on the table.

``InContextClassifier`` and ``InContextRegressor`` need scikit-learn, which is imported when one of
them is asked for.
"""

import importlib
from typing import Any

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.tables.evaluate import on_new_tables
from metajax.systems.tables.methods import BASELINES
from metajax.systems.tables.model import Model, save_model, shipped
from metajax.systems.tables.problem import Problem
from metajax.systems.tables.settings import Settings

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


SYSTEM = family(
    __name__,
    summary="learners that read a small table and predict a column of it",
    evaluators={"new_tasks": on_new_tables},
    objective=Objective(
        "rows.new_tasks.mean[-1]", False, title="log loss at the most rows of new tables"
    ),
    tied_to_steps=dict.fromkeys(BASELINES, ""),
)
"""What the command line and a sweep know of this family."""


MODULES = {"InContextClassifier": "classifier", "InContextRegressor": "regressor"}


def __getattr__(name: str) -> Any:
    if name not in MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(importlib.import_module(f"{__name__}.{MODULES[name]}"), name)
