"""GPICL: Transformers meta-trained as general-purpose in-context learners (arXiv 2212.04458)."""

from metajax.systems.gpicl.config import PRESETS, Config
from metajax.systems.gpicl.evaluate import accuracy_by_position
from metajax.systems.gpicl.learner import (
    SequenceLearner,
    context_free,
    in_context,
    nearest_neighbour,
    online_sgd,
)
from metajax.systems.gpicl.network import make_learner
from metajax.systems.gpicl.report import draw_phases
from metajax.systems.gpicl.system import SYSTEM, build
from metajax.systems.gpicl.tasks import ProjectionTasks, projection_tasks, unseen

__all__ = [
    "PRESETS",
    "SYSTEM",
    "Config",
    "ProjectionTasks",
    "SequenceLearner",
    "accuracy_by_position",
    "build",
    "context_free",
    "draw_phases",
    "in_context",
    "make_learner",
    "nearest_neighbour",
    "online_sgd",
    "projection_tasks",
    "unseen",
]
