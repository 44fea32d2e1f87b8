"""Few-shot learners on sinusoids and image classes."""

from __future__ import annotations

from typing import Any

from metajax.systems.base import System
from metajax.systems.fewshot.evaluate import evaluate, on_validation, scores
from metajax.systems.fewshot.methods import METHODS, nearest_mean
from metajax.systems.fewshot.problem import Problem, make_problem
from metajax.systems.fewshot.settings import PRESETS, TINY, Settings, check
from metajax.systems.fewshot.use import use
from metajax.systems.parts import objective
from metajax.systems.training import tied_to_steps

__all__ = [
    "METHODS",
    "PRESETS",
    "SYSTEM",
    "Problem",
    "Settings",
    "make_problem",
    "nearest_mean",
    "scores",
]


def _tied_to_steps(config: Any) -> str:
    """Name the method whose outer rate falls to 0 at the last step."""
    return "method=reptile" if config.method == "reptile" else tied_to_steps(config)


SYSTEM = System(
    name="fewshot",
    summary="MAML and its kin, metric and closed-form few-shot learners",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_validation},
    objective=objective,
    evaluation=("eval_every", "eval_tasks", "eval_steps", "eval_queries"),
    check=check,
    tied_to_steps=_tied_to_steps,
    renamed={"learner": "method"},
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
