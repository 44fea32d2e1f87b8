"""Unseen domains: adapt to images without labels, or train on all domains alike."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.domains.evaluate import on_targets
from metajax.systems.domains.problem import Problem
from metajax.systems.domains.settings import Settings
from metajax.systems.layout import family

__all__ = ["SYSTEM", "Problem", "Settings"]

_STAGED = ("meta_dmoe", "aggregated_experts")
"""Methods that train experts first."""

SYSTEM = family(
    __name__,
    summary="unseen domains: adapt to images without labels, by experts of other domains",
    evaluators={"new_tasks": on_targets},
    objective=Objective("rows.own.mean[-1]", title="accuracy on target domains"),
    alike_in=("seed",),
    tied_to_steps=dict.fromkeys(_STAGED, "the length of its stages"),
)
"""What the command line and a sweep know of this family."""
