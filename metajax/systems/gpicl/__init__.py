"""GPICL: Transformers meta-trained as general-purpose in-context learners (arXiv 2212.04458)."""

from __future__ import annotations

import functools

from metajax.systems.base import Objective
from metajax.systems.gpicl.accuracy import accuracy_by_position
from metajax.systems.gpicl.evaluate import along_training
from metajax.systems.gpicl.older import in_rows
from metajax.systems.gpicl.problem import Problem
from metajax.systems.gpicl.report import draw_phases
from metajax.systems.gpicl.settings import NOT_TRAINED, Settings
from metajax.systems.gpicl.tasks import projection_tasks, unseen
from metajax.systems.layout import family

__all__ = [
    "SYSTEM",
    "Problem",
    "Settings",
    "accuracy_by_position",
    "draw_phases",
    "in_rows",
    "projection_tasks",
    "unseen",
]


SYSTEM = family(
    __name__,
    summary="sequence learners that classify by reading labeled examples",
    evaluators={name: functools.partial(along_training, name) for name in ("unseen", "seen")},
    objective=Objective("more.unseen.last", title="accuracy at the last examples of unseen tasks"),
    evaluation=("test_split", "other_sets", "baselines"),
    of_tasks=("num_tasks", "bias_fraction", "min_ways"),
    tied_to_steps=dict.fromkeys(NOT_TRAINED, ""),
    renamed={"learner": "method", "channels": "image_channels", "microbatches": "tasks_at_once"},
)
"""What the command line and a sweep know of this family."""
