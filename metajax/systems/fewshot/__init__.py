"""Few-shot learners on sinusoids and image classes."""

from __future__ import annotations

from metajax.systems.fewshot.evaluate import on_validation
from metajax.systems.fewshot.problem import Problem
from metajax.systems.fewshot.settings import Settings
from metajax.systems.layout import family
from metajax.systems.parts import check_classes, objective, problem_of
from metajax.systems.uses import use_of

__all__ = ["SYSTEM", "Problem", "Settings"]


SYSTEM = family(
    __name__,
    summary="MAML and its kin, metric and closed-form few-shot learners",
    problem=problem_of(Problem),
    evaluators={"new_tasks": on_validation},
    objective=objective,
    check=check_classes,
    tied_to_steps={"reptile": "method=reptile"},  # its rate falls to 0 at the last step
    renamed={"learner": "method"},
    use=use_of(Problem),
)
"""What the command line and a sweep know of this family."""
