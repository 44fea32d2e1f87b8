"""What the family knows of angles by which images are turned."""

from __future__ import annotations

from metajax.data import ImagePool
from metajax.systems.weights.angles import methods, settings
from metajax.systems.weights.angles.conditions import Angles
from metajax.systems.weights.condition_use import use_angle
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.evaluate import evaluate, mean_accuracy, on_test_images
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.report import condition_figures, condition_table
from metajax.systems.weights.settings import Settings


def make(of: Settings, train: ImagePool, test: ImagePool) -> Problem:
    return drawn_problem(of, train, test, Angles(of.most_turn, of.eval_angles))


KIND = Kind(
    make=make,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    evaluate=evaluate,
    measure=on_test_images,
    objective=mean_accuracy(-1),
    table=condition_table,
    figures=condition_figures,
    use=use_angle,
)
"""The condition ``angles``."""
