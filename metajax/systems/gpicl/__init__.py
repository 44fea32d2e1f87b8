"""GPICL: Transformers meta-trained as general-purpose in-context learners (arXiv 2212.04458)."""

from __future__ import annotations

import functools
from typing import Any

from metajax.learners import (
    SequenceLearner,
    context_free,
    in_context,
    nearest_neighbour,
    online_sgd,
)
from metajax.systems.base import Objective, System
from metajax.systems.gpicl.accuracy import accuracy_by_position
from metajax.systems.gpicl.evaluate import along_training, evaluate
from metajax.systems.gpicl.methods import METHODS
from metajax.systems.gpicl.problem import Problem, make_problem
from metajax.systems.gpicl.report import draw_phases, figures, in_rows, table
from metajax.systems.gpicl.settings import (
    NOT_TRAINED,
    PRESETS,
    TINY,
    Settings,
    Training,
    check,
)
from metajax.systems.gpicl.tasks import ProjectionTasks, projection_tasks, unseen
from metajax.systems.gpicl.use import use
from metajax.systems.tables import shipped
from metajax.systems.training import tied_to_steps

__all__ = [
    "METHODS",
    "PRESETS",
    "SYSTEM",
    "Problem",
    "ProjectionTasks",
    "SequenceLearner",
    "Settings",
    "Training",
    "accuracy_by_position",
    "context_free",
    "draw_phases",
    "in_context",
    "in_rows",
    "make_problem",
    "nearest_neighbour",
    "online_sgd",
    "projection_tasks",
    "shipped",
    "unseen",
]


def _objective(config: Any) -> Objective:
    return Objective(
        "more.unseen.last", True, "unseen/last", "accuracy at the last examples of unseen tasks"
    )


def _tied_to_steps(config: Any) -> str:
    """Name the schedule that ends with the last step, where there is something to train."""
    return "" if config.method in NOT_TRAINED else tied_to_steps(config)


SYSTEM = System(
    name="gpicl",
    summary="Transformers meta-trained as general-purpose in-context learners",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={name: functools.partial(along_training, name) for name in ("unseen", "seen")},
    table=table,
    figures=figures,
    objective=_objective,
    training=Training,
    evaluation=("eval_every", "eval_tasks", "test_split", "other_sets", "baselines"),
    of_tasks=("num_tasks", "bias_fraction", "min_ways"),
    check=check,
    tied_to_steps=_tied_to_steps,
    renamed={"learner": "method", "channels": "image_channels", "microbatches": "tasks_at_once"},
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
