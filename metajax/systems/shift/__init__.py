"""Test-time adaptation: predict a stream of shifted images and adapt without labels.

A method of this family gives an algorithm that trains on labeled source images, with parameters
:class:`metajax.continual.SourceParams`, and as its ``parts`` an :class:`metajax.continual.Online`
predictor that starts from these parameters. The evaluation runs it over the problem's stream, batch
after batch, and scores predictions made before each update.
"""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.shift.evaluate import on_clean_images
from metajax.systems.shift.methods import METHODS
from metajax.systems.shift.problem import Problem
from metajax.systems.shift.settings import Settings

__all__ = ["SYSTEM", "Problem", "Settings"]


SYSTEM = family(
    __name__,
    summary="test-time adaptation: a stream of shifted images without labels",
    evaluators={"clean": on_clean_images},
    objective=Objective("rows.stream.mean[-1]", title="accuracy on the last round of shifts"),
    evaluation=("severity", "online_batch", "images_per_shift", "num_rounds"),
    alike_in=("seed",),
    tied_to_steps=dict.fromkeys(METHODS, "when the warm-up begins"),
)
"""What the command line and a sweep know of this family."""
