"""Test-time adaptation: predict a stream of shifted images and adapt without labels.

A method of this family gives an algorithm that trains on labeled source images, with parameters
:class:`metajax.continual.SourceParams`, and ``parts=Parts(online)``: an
:class:`metajax.continual.Online` predictor that starts from these parameters. The evaluation runs
it over the problem's stream, batch after batch, and scores predictions made before each update.
"""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.shift.evaluate import evaluate, on_clean_images
from metajax.systems.shift.methods import METHODS, Parts
from metajax.systems.shift.problem import Problem, make_problem
from metajax.systems.shift.report import figures, table
from metajax.systems.shift.settings import PRESETS, TINY, Settings, Training, check

__all__ = ["SYSTEM", "Parts", "Problem", "Settings"]


SYSTEM = System(
    name="shift",
    summary="test-time adaptation: a stream of shifted images without labels",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"clean": on_clean_images},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.stream.mean[-1]", True, "clean/last", "accuracy on the last round of shifts"
    ),
    training=Training,
    evaluation=("eval_every", "severity", "online_batch", "images_per_shift", "num_rounds"),
    alike_in=("seed",),
    check=check,
    tied_to_steps=dict.fromkeys(METHODS, "when the warm-up begins"),
    tiny=TINY,
)
"""What the command line and a sweep know of this family."""
