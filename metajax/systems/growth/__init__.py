"""Growth: one network made from another, or taught by it, at equal compute.

A method of this family gives an algorithm of :func:`metajax.learners.in_growing_stages` and
``parts``, a tuple of what the evaluation reads of each stage.
"""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.growth.evaluate import evaluate, on_test_images
from metajax.systems.growth.methods import METHODS, STAGED
from metajax.systems.growth.problem import Parts, Problem, make_problem
from metajax.systems.growth.report import figures, table
from metajax.systems.growth.settings import PRESETS, TINY, Settings, Training, check
from metajax.systems.growth.stage import Members, Stage
from metajax.systems.growth.use import use

__all__ = ["SYSTEM", "Members", "Parts", "Problem", "Settings", "Stage"]

SYSTEM = System(
    name="growth",
    summary="one network made from another, or taught by it, at equal compute",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"test": on_test_images},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.test.mean[-1]", True, "test/last", "accuracy on test images"
    ),
    training=Training,
    evaluation=("eval_every",),
    alike_in=("seed",),
    check=check,
    tied_to_steps=dict.fromkeys(STAGED, "the length of its stages"),
    tiny=TINY,
    use=use,
)
"""What the command line and a sweep know of this family."""
