"""GPICL: Transformers meta-trained as general-purpose in-context learners (arXiv 2212.04458)."""

from __future__ import annotations

import functools

from metajax.learners import in_context, nearest_neighbour
from metajax.systems.base import Objective, System
from metajax.systems.gpicl.accuracy import accuracy_by_position
from metajax.systems.gpicl.evaluate import along_training, evaluate
from metajax.systems.gpicl.methods import METHODS
from metajax.systems.gpicl.problem import Problem, make_problem
from metajax.systems.gpicl.report import draw_phases, figures, in_rows, table
from metajax.systems.gpicl.settings import NOT_TRAINED, PRESETS, TINY, Settings, Training, check
from metajax.systems.gpicl.tasks import projection_tasks, unseen
from metajax.systems.gpicl.use import use
from metajax.systems.tables import shipped

__all__ = [
    "SYSTEM",
    "Problem",
    "Settings",
    "accuracy_by_position",
    "draw_phases",
    "in_context",
    "in_rows",
    "nearest_neighbour",
    "projection_tasks",
    "shipped",
    "unseen",
]


SYSTEM = System(
    name="gpicl",
    summary="sequence learners that classify by reading labeled examples",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={name: functools.partial(along_training, name) for name in ("unseen", "seen")},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "more.unseen.last", True, "unseen/last", "accuracy at the last examples of unseen tasks"
    ),
    training=Training,
    evaluation=("eval_every", "eval_tasks", "test_split", "other_sets", "baselines"),
    of_tasks=("num_tasks", "bias_fraction", "min_ways"),
    check=check,
    tied_to_steps=dict.fromkeys(NOT_TRAINED, ""),
    renamed={"learner": "method", "channels": "image_channels", "microbatches": "tasks_at_once"},
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
