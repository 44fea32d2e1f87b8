"""HyperDistill: online hyperparameter meta-learning by distillation (arXiv 2110.02508)."""

from metajax.systems.hyperdistill.config import PRESETS, Config
from metajax.systems.hyperdistill.evaluate import error_by_step, summarise
from metajax.systems.hyperdistill.learner import (
    make_algorithm,
    make_estimator,
    make_learner,
    make_problem,
)
from metajax.systems.hyperdistill.system import SYSTEM, build

__all__ = [
    "PRESETS",
    "SYSTEM",
    "Config",
    "build",
    "error_by_step",
    "make_algorithm",
    "make_estimator",
    "make_learner",
    "make_problem",
    "summarise",
]
