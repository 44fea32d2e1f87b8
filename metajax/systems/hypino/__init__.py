"""HyPINO: a hypernetwork that turns a linear PDE into the weights of a network that solves it."""

from metajax.systems.base import Objective
from metajax.systems.hypino.evaluate import new_problems, on_new_problems
from metajax.systems.hypino.finetuning import (
    adam,
    as_examples,
    as_network,
    equation_loss,
    finetune,
    tuning_curves,
)
from metajax.systems.hypino.model import Model, load_model, save_model, shipped, trained
from metajax.systems.hypino.network import Inputs
from metajax.systems.hypino.one_problem import solve
from metajax.systems.hypino.problem import Problem
from metajax.systems.hypino.refinement import refine
from metajax.systems.hypino.settings import Settings
from metajax.systems.hypino.solved import choose_features, draw_features
from metajax.systems.hypino.tasks import make_tasks
from metajax.systems.layout import family

__all__ = [
    "SYSTEM",
    "Inputs",
    "Model",
    "Problem",
    "Settings",
    "adam",
    "as_examples",
    "as_network",
    "choose_features",
    "draw_features",
    "equation_loss",
    "finetune",
    "load_model",
    "make_tasks",
    "new_problems",
    "refine",
    "save_model",
    "shipped",
    "solve",
    "trained",
    "tuning_curves",
]


SYSTEM = family(
    __name__,
    summary="HyPINO: a hypernetwork that turns a linear PDE into the network that solves it",
    evaluators={"new_tasks": on_new_problems},
    objective=Objective(
        "rows.new_problems.mean[-1]", False, title="relative L2 error on new problems"
    ),
    evaluation=("benchmarks", "finetune_steps", "rounds"),
    of_tasks=("homogeneous", "unsupervised", "first_phase"),
    renamed={"decoder": "method"},
)
"""What the command line and a sweep know of this family."""
