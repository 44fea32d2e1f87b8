"""HyPINO's family of problems, as the command line and a sweep know it."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.hypino.evaluate import on_new_problems
from metajax.systems.layout import family

SYSTEM = family(
    __package__,
    summary="HyPINO: a hypernetwork that turns a linear PDE into the network that solves it",
    evaluators={"new_tasks": on_new_problems},
    objective=Objective(
        "rows.new_problems.mean[-1]", False, title="relative L2 error on new problems"
    ),
    evaluation=("benchmarks", "finetune_steps", "rounds"),
    of_tasks=("homogeneous", "unsupervised", "first_phase"),
    renamed={"decoder": "method"},
)
"""What the command line and a sweep know of this family."""
