"""Unseen domains: adapt to images without labels, or train on all domains alike."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.domains.evaluate import on_targets
from metajax.systems.domains.methods import METHODS
from metajax.systems.domains.problem import Problem
from metajax.systems.domains.settings import Settings, Teacher
from metajax.systems.layout import family
from metajax.systems.options import options_type

__all__ = ["SYSTEM", "Problem", "Settings"]

SYSTEM = family(
    __name__,
    summary="unseen domains: adapt to images without labels, by experts of other domains",
    evaluators={"new_tasks": on_targets},
    objective=Objective("rows.own.mean[-1]", title="accuracy on target domains"),
    alike_in=("seed",),
    tied_to_steps={
        name: "the length of its stages"
        for name, entry in METHODS.items()
        if issubclass(options_type(entry), Teacher)
    },
)
"""What the command line and a sweep know of this family."""
