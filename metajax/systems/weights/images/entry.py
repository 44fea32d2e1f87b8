"""What the family knows of images that a generator is to reconstruct."""

from __future__ import annotations

from metajax.data import ImagePool
from metajax.systems.base import Objective
from metajax.systems.weights.images import methods, settings, use
from metajax.systems.weights.images.conditions import ImageDraws, make_edit_images
from metajax.systems.weights.images.evaluate import evaluate_edits, on_known_classes
from metajax.systems.weights.images.report import edit_figures, edit_table
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Settings


def make(of: Settings, train: ImagePool, test: ImagePool) -> Problem:
    images = make_edit_images(of, train, test)
    tasks = ImageDraws(images.train, of.examples)
    return Problem(of, tasks, test, images, images.classes)


KIND = Kind(
    make=make,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    check=settings.check_images,
    evaluation=("image_steps", "weight_rates", "latent_rates", "edit_images"),
    evaluate=evaluate_edits,
    measure=on_known_classes,
    objective=Objective(
        "rows.as_trained.mean[0]",
        False,
        "new_tasks/last",
        "mean squared error on held-out images of known classes",
    ),
    table=edit_table,
    figures=edit_figures,
    use=use.USE,
)
"""The condition ``images``."""
