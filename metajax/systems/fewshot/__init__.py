"""Few-shot learners on sinusoids and image classes."""

from metajax.systems.fewshot.config import CLASSIFIERS, CLOSED_FORM, LEARNERS, PRESETS, Config
from metajax.systems.fewshot.evaluate import scores, summarise
from metajax.systems.fewshot.learner import (
    make_algorithm,
    make_learner,
    make_loss,
    make_network,
    nearest_mean,
)
from metajax.systems.fewshot.system import SYSTEM, build
from metajax.systems.fewshot.tasks import make_tasks

__all__ = [
    "CLASSIFIERS",
    "CLOSED_FORM",
    "LEARNERS",
    "PRESETS",
    "SYSTEM",
    "Config",
    "build",
    "make_algorithm",
    "make_learner",
    "make_loss",
    "make_network",
    "make_tasks",
    "nearest_mean",
    "scores",
    "summarise",
]
