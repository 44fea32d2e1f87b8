"""What the family knows of pruning."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.pruning import methods, settings, use
from metajax.systems.weights.pruning.conditions import make_pruning
from metajax.systems.weights.pruning.evaluate import evaluate_pruning, on_pruned
from metajax.systems.weights.pruning.report import pruning_figures, pruning_table

KIND = Kind(
    make=make_pruning,
    methods=methods.METHODS,
    presets=settings.PRESETS,
    tiny=settings.TINY,
    check=settings.check_pruning,
    evaluation=("kept_units", "tune_steps"),
    evaluate=evaluate_pruning,
    measure=on_pruned,
    objective=Objective(
        "rows.mean.mean[0]",
        True,
        "new_tasks/last",
        "accuracy after pruning and further training, mean over sizes",
    ),
    table=pruning_table,
    figures=pruning_figures,
    use=use.USE,
)
"""The condition ``pruning``."""
