"""What the command line and a sweep know of the family of tables."""

from __future__ import annotations

from metajax.systems.base import Objective
from metajax.systems.layout import family
from metajax.systems.tables.evaluate import on_new_tables
from metajax.systems.tables.methods import BASELINES

SYSTEM = family(
    __package__,
    summary="learners that read a small table and predict a column of it",
    evaluators={"new_tasks": on_new_tables},
    objective=Objective(
        "rows.new_tasks.mean[-1]", False, title="log loss at the most rows of new tables"
    ),
    tied_to_steps=dict.fromkeys(BASELINES, ""),
)
"""What the command line and a sweep know of this family."""
