"""What the family knows of tuples of classes."""

from __future__ import annotations

from metajax.data import ImagePool
from metajax.systems import show
from metajax.systems.base import Objective
from metajax.systems.weights.classes import methods, settings
from metajax.systems.weights.classes.evaluate import evaluate_zoo, on_unseen_tuples
from metajax.systems.weights.classes.report import zoo_figures
from metajax.systems.weights.classes.tuples import make_class_tuples
from metajax.systems.weights.classes.use import USE
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Settings


def make(of: Settings, train: ImagePool, test: ImagePool) -> Problem:
    tuples = make_class_tuples(train, test, of)
    return Problem(of, tuples.zoo, test, tuples, of.ways)


KIND = Kind(
    make=make,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    check=settings.check_classes,
    evaluate=evaluate_zoo,
    measure=on_unseen_tuples,
    objective=Objective(
        "rows.test.mean[0]",
        True,
        "new_tasks/last",
        "accuracy on unseen tuples of classes, without a step",
    ),
    table=show.table,
    figures=zoo_figures,
    use=USE,
)
"""The condition ``classes``."""
