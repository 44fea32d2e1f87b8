"""HyperDistill: online hyperparameter meta-learning by distillation (arXiv 2110.02508)."""

from __future__ import annotations

from metajax.systems.hyperdistill.evaluate import on_validation
from metajax.systems.hyperdistill.problem import Problem
from metajax.systems.hyperdistill.settings import Settings
from metajax.systems.layout import family
from metajax.systems.parts import objective, problem_of
from metajax.systems.uses import use_of

__all__ = ["SYSTEM", "Problem", "Settings"]


SYSTEM = family(
    __name__,
    summary="hyperparameters meta-learned online by distilled Jacobian-vector products",
    problem=problem_of(Problem, "label_noise"),
    evaluators={"new_tasks": on_validation},
    objective=objective,
    tied_to_steps={"random_search": ""},  # it has no learning rate
    renamed={
        "bed": "testbed",
        "outer_lr": "learning_rate",
        "outer_optimizer": "optimizer",
        "outer_decay": "schedule",
    },
    older_values={"outer_decay": {True: "linear", False: "constant"}},
    use=use_of(Problem),
)
"""What the command line and a sweep know of this family."""
