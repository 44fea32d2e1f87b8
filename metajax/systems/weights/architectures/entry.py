"""What the family knows of architectures of multi-layer perceptrons."""

from __future__ import annotations

from metajax.data import ImagePool
from metajax.systems.weights.architectures import methods, settings
from metajax.systems.weights.architectures.conditions import draw_architectures
from metajax.systems.weights.architectures.evaluate import evaluate_starts
from metajax.systems.weights.architectures.report import starts_figures, starts_table
from metajax.systems.weights.condition_use import use_shape
from metajax.systems.weights.conditions import drawn_problem
from metajax.systems.weights.evaluate import mean_accuracy, on_test_images
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.problem import Problem, padded
from metajax.systems.weights.settings import Settings


def make(of: Settings, train: ImagePool, test: ImagePool) -> Problem:
    target = padded(train.num_features, train.num_classes, of.layers, of.widest)
    return drawn_problem(of, train, test, draw_architectures(target, of))


KIND = Kind(
    make=make,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    check=settings.check_architectures,
    evaluation=("start_steps", "start_lr"),
    evaluate=evaluate_starts,
    measure=on_test_images,
    objective=mean_accuracy(0),
    table=starts_table,
    figures=starts_figures,
    use=use_shape,
)
"""The condition ``architectures``."""
