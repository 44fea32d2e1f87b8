"""The conditions of the family: an entry for each, in the registry ``KINDS``."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from metajax.core import ConfigError, MetaLearner
from metajax.systems.base import Entry, Method
from metajax.systems.image_sets import image_pools
from metajax.systems.weights.angles import entry as angles
from metajax.systems.weights.architectures import entry as architectures
from metajax.systems.weights.classes import entry as classes
from metajax.systems.weights.images import entry as images
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.modalities import entry as modalities
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.pruning import entry as pruning
from metajax.systems.weights.settings import Settings, Training
from metajax.systems.weights.widths import entry as widths

KINDS = {
    "angles": angles.KIND,
    "widths": widths.KIND,
    "architectures": architectures.KIND,
    "classes": classes.KIND,
    "images": images.KIND,
    "modalities": modalities.KIND,
    "pruning": pruning.KIND,
}
"""All conditions, the default first."""


def kind_of(method: str) -> Kind:
    """Return the kind of condition that a method is made for.

    Args:
      method: of the family, by name.
    """
    return next(kind for kind in KINDS.values() if method in kind.methods)


def make_problem(settings: Settings, training: Training, data_dir: Path | None = None) -> Problem:
    """Make the problem of some settings.

    Args:
      settings: of the problem.
      training: not read.
      data_dir: folder of the data sets.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: the settings do not fit the set.
    """
    train, test = image_pools(settings, data_dir)
    test = dataclasses.replace(test, mean=train.mean, std=train.std)
    return KINDS[settings.condition].make(settings, train, test)


def _made_for(name: str, method: Entry, condition: str) -> Entry:
    """A method that raises a ConfigError, which names ``method``, for another condition."""

    @functools.wraps(method)
    def checked(problem: Problem, training: Training, **options: Any) -> Method | MetaLearner:
        if problem.settings.condition != condition:
            expected = f"one made for {problem.settings.condition}; {name} needs {condition}"
            raise ConfigError("method", name, expected)
        return method(problem, training, **options)

    return checked


METHODS = {
    name: _made_for(name, method, condition)
    for condition, kind in KINDS.items()
    for name, method in kind.methods.items()
}
"""All methods of the family, the default first."""
