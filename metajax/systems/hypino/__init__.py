"""HyPINO: a hypernetwork that turns a linear PDE into the weights of a network that solves it."""

from metajax.systems.hypino.benchmarking import (
    PreparedBenchmark,
    benchmarks,
    by_least_squares,
    grid_errors,
    prepare_benchmark,
)
from metajax.systems.hypino.evaluate import SolutionErrors, new_problems
from metajax.systems.hypino.finetuning import (
    Tuned,
    adam,
    as_examples,
    as_network,
    equation_loss,
    finetune,
    tuning_curves,
)
from metajax.systems.hypino.gauss_newton import Fitted, improve_features
from metajax.systems.hypino.learner import PARTS, Losses, losses, make_learner
from metajax.systems.hypino.least_squares import (
    Equations,
    Features,
    RandomFeatures,
    equations,
    random_features,
    solve_head,
    with_constant,
)
from metajax.systems.hypino.methods import METHODS
from metajax.systems.hypino.model import Model, load_model, save_model, shipped
from metajax.systems.hypino.network import Inputs, Target, make_network
from metajax.systems.hypino.problem import Problem, make_problem
from metajax.systems.hypino.problem_file import read_problem
from metajax.systems.hypino.refinement import Ensemble, refine
from metajax.systems.hypino.settings import PRESETS, Settings
from metajax.systems.hypino.solved import (
    choose_features,
    draw_features,
    make_solved_learner,
    tanh_network,
)
from metajax.systems.hypino.solving import Solved, solve
from metajax.systems.hypino.system import SYSTEM
from metajax.systems.hypino.tasks import Phases, ProblemTasks, Scored, make_phases, make_tasks
from metajax.systems.hypino.verdict import DoubtfulSolutionWarning

__all__ = [
    "METHODS",
    "PARTS",
    "PRESETS",
    "SYSTEM",
    "DoubtfulSolutionWarning",
    "Ensemble",
    "Equations",
    "Features",
    "Fitted",
    "Inputs",
    "Losses",
    "Model",
    "Phases",
    "PreparedBenchmark",
    "Problem",
    "ProblemTasks",
    "RandomFeatures",
    "Scored",
    "Settings",
    "SolutionErrors",
    "Solved",
    "Target",
    "Tuned",
    "adam",
    "as_examples",
    "as_network",
    "benchmarks",
    "by_least_squares",
    "choose_features",
    "draw_features",
    "equation_loss",
    "equations",
    "finetune",
    "grid_errors",
    "improve_features",
    "load_model",
    "losses",
    "make_learner",
    "make_network",
    "make_phases",
    "make_problem",
    "make_solved_learner",
    "make_tasks",
    "new_problems",
    "prepare_benchmark",
    "random_features",
    "read_problem",
    "refine",
    "save_model",
    "shipped",
    "solve",
    "solve_head",
    "tanh_network",
    "tuning_curves",
    "with_constant",
]
