"""Unseen domains: adapt to images without labels, or train on all domains alike."""

from __future__ import annotations

from metajax.systems.base import Objective, System
from metajax.systems.domains.evaluate import evaluate, on_targets
from metajax.systems.domains.methods import METHODS
from metajax.systems.domains.problem import Problem, make_problem
from metajax.systems.domains.report import figures, table
from metajax.systems.domains.settings import PRESETS, TINY, Settings, Training, check

__all__ = ["SYSTEM", "Problem", "Settings"]

_STAGED = ("meta_dmoe", "aggregated_experts")
"""Methods that train experts first."""

SYSTEM = System(
    name="domains",
    summary="unseen domains: adapt to images without labels, by experts of other domains",
    settings=Settings,
    presets=PRESETS,
    methods=METHODS,
    problem=make_problem,
    evaluate=evaluate,
    evaluators={"new_tasks": on_targets},
    table=table,
    figures=figures,
    objective=lambda config: Objective(
        "rows.own.mean[-1]", True, "new_tasks/last", "accuracy on target domains"
    ),
    training=Training,
    evaluation=("eval_every", "eval_supports"),
    alike_in=("seed",),
    check=check,
    tied_to_steps=dict.fromkeys(_STAGED, "the length of its stages"),
    tiny=TINY,
)
"""What the command line and a sweep know of this family."""
