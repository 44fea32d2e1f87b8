"""HyperDistill: online hyperparameter meta-learning by distillation (arXiv 2110.02508)."""

from metajax.systems.hyperdistill.config import PRESETS, Config
from metajax.systems.hyperdistill.evaluate import (
    scores_by_step,
    steps_between_scores,
    summarise,
)
from metajax.systems.hyperdistill.learner import (
    Bed,
    make_algorithm,
    make_bed,
    make_estimator,
    make_learner,
    make_problem,
)
from metajax.systems.hyperdistill.system import SYSTEM, build
from metajax.systems.hyperdistill.tasks import make_tasks

__all__ = [
    "PRESETS",
    "SYSTEM",
    "Bed",
    "Config",
    "build",
    "make_algorithm",
    "make_bed",
    "make_estimator",
    "make_learner",
    "make_problem",
    "make_tasks",
    "scores_by_step",
    "steps_between_scores",
    "summarise",
]
