"""Few-shot learners on sinusoids and image classes."""

from __future__ import annotations

from metajax.systems.base import System
from metajax.systems.fewshot.evaluate import evaluate, on_validation
from metajax.systems.fewshot.methods import METHODS
from metajax.systems.fewshot.problem import Problem
from metajax.systems.fewshot.settings import PRESETS, TINY, Settings, check
from metajax.systems.parts import objective, problem_of
from metajax.systems.using.parted import use_of

__all__ = [
    "SYSTEM",
    "Problem",
    "Settings",
]


SYSTEM = System(
    name="fewshot",
    summary="MAML and its kin, metric and closed-form few-shot learners",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=problem_of(Problem),
    evaluate=evaluate,
    evaluators={"new_tasks": on_validation},
    objective=objective,
    evaluation=("eval_every", "eval_tasks", "eval_steps", "eval_queries"),
    check=check,
    tied_to_steps={"reptile": "method=reptile"},  # its rate falls to 0 at the last step
    renamed={"learner": "method"},
    tiny=TINY,
    use=use_of(Problem),
)
"""What the command line and a sweep know of this family."""
