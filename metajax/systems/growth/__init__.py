"""Growth: one network made from another, or taught by it, at equal compute.

A method of this family gives an algorithm of :func:`metajax.learners.in_growing_stages` and
``parts``, a tuple of what the evaluation reads of each stage.
"""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.growth.evaluate import on_test_images
from metajax.systems.growth.methods import STAGED
from metajax.systems.growth.problem import Parts, Problem
from metajax.systems.growth.settings import Settings
from metajax.systems.growth.stage import Members, Stage
from metajax.systems.layout import family

__all__ = ["SYSTEM", "Members", "Parts", "Problem", "Settings", "Stage"]

SYSTEM = family(
    __name__,
    summary="one network made from another, or taught by it, at equal compute",
    evaluators={"test": on_test_images},
    objective=Objective("rows.test.mean[-1]", title="accuracy on test images"),
    alike_in=("seed",),
    tied_to_steps=dict.fromkeys(STAGED, "the length of its stages"),
)
"""What the command line and a sweep know of this family."""
