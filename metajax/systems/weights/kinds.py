"""The conditions of the family: an entry for each, in the registry ``KINDS``."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from metajax.core import ConfigError, MetaLearner
from metajax.data import ImagePool
from metajax.systems import show
from metajax.systems.base import Entry, Method, Objective
from metajax.systems.image_sets import image_pools
from metajax.systems.weights import (
    angle_methods,
    angle_settings,
    architecture_settings,
    class_settings,
    class_use,
    condition_use,
    edit_methods,
    graph_methods,
    image_settings,
    modality_methods,
    modality_settings,
    pruning_methods,
    pruning_settings,
    width_methods,
    width_settings,
    zoo_methods,
)
from metajax.systems.weights.architectures import draw_architectures
from metajax.systems.weights.class_tuples import make_class_tuples
from metajax.systems.weights.conditions import Angles, Conditions, ConditionTasks, Widths
from metajax.systems.weights.edit_evaluate import evaluate_edits, on_known_classes
from metajax.systems.weights.edit_images import ImageDraws, make_edit_images
from metajax.systems.weights.edit_report import edit_figures, edit_table
from metajax.systems.weights.evaluate import evaluate, on_test_images
from metajax.systems.weights.kind import Kind
from metajax.systems.weights.modalities import make_modalities
from metajax.systems.weights.modality_evaluate import (
    evaluate_modalities,
    modality_figures,
    on_unseen_encoders,
)
from metajax.systems.weights.problem import Problem, padded
from metajax.systems.weights.pruned_networks import make_pruning
from metajax.systems.weights.pruning_evaluate import evaluate_pruning, on_pruned
from metajax.systems.weights.report import (
    condition_figures,
    condition_table,
    pruning_figures,
    pruning_table,
    starts_figures,
    starts_table,
    zoo_figures,
)
from metajax.systems.weights.settings import Settings, Training
from metajax.systems.weights.starts import evaluate_starts
from metajax.systems.weights.zoo_evaluate import evaluate_zoo, on_unseen_tuples


def _drawn(
    settings: Settings, train: ImagePool, test: ImagePool, conditions: Conditions
) -> Problem:
    """The problem of conditions that are drawn, with images of the whole set under each."""
    tasks = ConditionTasks(train, conditions, settings.examples)
    return Problem(settings, tasks, test, conditions, train.num_classes)


def _angles(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    return _drawn(settings, train, test, Angles(settings.most_turn, settings.eval_angles))


def _widths(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    return _drawn(settings, train, test, Widths(settings.train_widths, settings.eval_widths))


def _architectures(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    target = padded(train.num_features, train.num_classes, settings.layers, settings.widest)
    return _drawn(settings, train, test, draw_architectures(target, settings))


def _classes(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    tuples = make_class_tuples(train, test, settings)
    return Problem(settings, tuples.zoo, test, tuples, settings.ways)


def _images(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    images = make_edit_images(settings, train, test)
    tasks = ImageDraws(images.train, settings.examples)
    return Problem(settings, tasks, test, images, images.classes)


def _modalities(settings: Settings, train: ImagePool, test: ImagePool) -> Problem:
    tasks, modalities = make_modalities(settings, train, test)
    return Problem(settings, tasks, test, modalities, train.num_classes)


def _no_check(config: Any) -> None:
    """No setting depends on another."""


def _mean_accuracy(place: int) -> Objective:
    """The accuracy on test images at a place of the row ``mean``."""
    title = "accuracy on test images, mean over conditions"
    return Objective(f"rows.mean.mean[{place}]", True, "new_tasks/last", title)


KINDS = {
    "angles": Kind(
        make=_angles,
        methods=angle_methods.METHODS,
        presets=angle_settings.PRESETS,
        tiny=angle_settings.TINY,
        check=_no_check,
        evaluation=("eval_angles",),
        evaluate=evaluate,
        measure=on_test_images,
        objective=_mean_accuracy(-1),
        table=condition_table,
        figures=condition_figures,
        use=condition_use.use_angle,
    ),
    "widths": Kind(
        make=_widths,
        methods=width_methods.METHODS,
        presets=width_settings.PRESETS,
        tiny=width_settings.TINY,
        check=width_settings.check_widths,
        evaluation=("eval_widths",),
        evaluate=evaluate,
        measure=on_test_images,
        objective=_mean_accuracy(-1),
        table=condition_table,
        figures=condition_figures,
        use=condition_use.use_width,
    ),
    "architectures": Kind(
        make=_architectures,
        methods=graph_methods.METHODS,
        presets=architecture_settings.PRESETS,
        tiny=architecture_settings.TINY,
        check=architecture_settings.check_architectures,
        evaluation=("eval_architectures", "start_steps", "start_lr"),
        evaluate=evaluate_starts,
        measure=on_test_images,
        objective=_mean_accuracy(0),
        table=starts_table,
        figures=starts_figures,
        use=condition_use.use_shape,
    ),
    "classes": Kind(
        make=_classes,
        methods=zoo_methods.METHODS,
        presets=class_settings.PRESETS,
        tiny=class_settings.TINY,
        check=class_settings.check_classes,
        evaluation=("eval_tasks", "eval_images"),
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
        use=class_use.use,
    ),
    "images": Kind(
        make=_images,
        methods=edit_methods.METHODS,
        presets=image_settings.PRESETS,
        tiny=image_settings.TINY,
        check=image_settings.check_images,
        evaluation=(
            *("eval_passes", "image_steps", "weight_rates", "latent_rates"),
            "edit_images",
        ),
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
    ),
    "pruning": Kind(
        make=make_pruning,
        methods=pruning_methods.METHODS,
        presets=pruning_settings.PRESETS,
        tiny=pruning_settings.TINY,
        check=pruning_settings.check_pruning,
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
    ),
    "modalities": Kind(
        make=_modalities,
        methods=modality_methods.METHODS,
        presets=modality_settings.PRESETS,
        tiny=modality_settings.TINY,
        check=modality_settings.check_modalities,
        evaluation=(
            *("eval_modalities", "eval_pairs", "eval_supports", "eval_queries"),
            *("glyphs", "pair_steps", "pair_lr"),
        ),
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
    ),
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
