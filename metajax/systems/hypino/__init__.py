"""HyPINO: a hypernetwork that turns a linear PDE into the weights of a network that solves it."""

from metajax.systems.hypino.evaluate import new_problems
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
from metajax.systems.hypino.system import SYSTEM
from metajax.systems.hypino.tasks import make_tasks

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
