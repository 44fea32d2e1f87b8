"""HyPINO: a hypernetwork that turns a linear PDE into the weights of a network that solves it."""

from metajax.systems.hypino.config import PRESETS, Config
from metajax.systems.hypino.evaluate import (
    Case,
    Errors,
    benchmarks,
    by_least_squares,
    make_case,
    new_problems,
    score,
)
from metajax.systems.hypino.finetuning import (
    Tuned,
    adam,
    as_examples,
    as_network,
    equation_loss,
    finetune,
    tuning_curves,
)
from metajax.systems.hypino.learner import (
    PARTS,
    Losses,
    losses,
    make_algorithm,
    make_learner,
)
from metajax.systems.hypino.least_squares import (
    Features,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino.model import Model, load_model, save_model, shipped
from metajax.systems.hypino.network import Inputs, make_network, make_target
from metajax.systems.hypino.problem_file import read_problem
from metajax.systems.hypino.refinement import Ensemble, refine
from metajax.systems.hypino.solving import Solved, solve
from metajax.systems.hypino.system import SYSTEM, build
from metajax.systems.hypino.tasks import Phases, ProblemTasks, Scored, make_phases, make_tasks
from metajax.systems.hypino.verdict import DoubtfulSolutionWarning

__all__ = [
    "PARTS",
    "PRESETS",
    "SYSTEM",
    "Case",
    "Config",
    "DoubtfulSolutionWarning",
    "Ensemble",
    "Errors",
    "Features",
    "Inputs",
    "Losses",
    "Model",
    "Phases",
    "ProblemTasks",
    "Scored",
    "Solved",
    "Tuned",
    "adam",
    "as_examples",
    "as_network",
    "benchmarks",
    "build",
    "by_least_squares",
    "equation_loss",
    "finetune",
    "load_model",
    "losses",
    "make_algorithm",
    "make_case",
    "make_learner",
    "make_network",
    "make_phases",
    "make_target",
    "make_tasks",
    "new_problems",
    "random_features",
    "read_problem",
    "refine",
    "save_model",
    "score",
    "shipped",
    "solve",
    "solve_head",
    "tuning_curves",
    "with_constant",
]
