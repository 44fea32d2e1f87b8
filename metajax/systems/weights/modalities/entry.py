"""What the family knows of modalities of embeddings."""

from __future__ import annotations

from metajax.data import ImagePool
from metajax.systems import show
from metajax.systems.base import Objective
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.modalities import methods, settings, use
from metajax.systems.weights.modalities.conditions import make_modalities
from metajax.systems.weights.modalities.evaluate import evaluate_modalities, on_unseen_encoders
from metajax.systems.weights.modalities.report import modality_figures
from metajax.systems.weights.problem import Problem
from metajax.systems.weights.settings import Settings


def make(of: Settings, train: ImagePool, test: ImagePool) -> Problem:
    tasks, modalities = make_modalities(of, train, test)
    return Problem(of, tasks, test, modalities, train.num_classes)


KIND = Kind(
    make=make,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    check=settings.check_modalities,
    evaluation=("glyphs", "pair_steps", "pair_lr"),
    evaluate=evaluate_modalities,
    measure=on_unseen_encoders,
    objective=Objective(
        "rows.test.mean[0]",
        True,
        "new_tasks/last",
        "accuracy on unseen encoders, with the fewest pairs",
    ),
    table=show.table,
    figures=modality_figures,
    use=use.USE,
)
"""The condition ``modalities``."""
