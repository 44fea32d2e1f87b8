"""What the problem of reading tables is, and the presets that were run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from metajax.core import ASCENDING, ConfigError, Count, Several, at_most


@dataclass(frozen=True)
class Settings:
    """Classification of small tables: read labeled rows, predict the label of others."""

    small_rows: Annotated[Several, at_most("rows")] = 48
    """Rows of the support of a small table, at most."""
    rows: Several = 256
    """Rows of the support of a large table, at most; at least an eighth of that."""
    small_tables: Count = 24
    """Small tables for each large one. One draw holds both, so tasks_per_step is a
    multiple of this number plus 1."""
    queries: Count = 32
    """Rows of each table to predict."""
    features: Several = 40
    """Features of a table, at most."""
    classes: Several = 10
    """Classes of a table, at most; half of the tables have two."""
    eval_tasks: Several = 200
    """New tables that every evaluated figure is a mean over."""
    eval_rows: Annotated[tuple[Several, ...], ASCENDING] = (10, 30, 100)
    """Rows that new tables are learned from, ascending."""


def check(config: Any) -> None:
    """Raise where ``tasks_per_step`` is not made of whole draws.

    Raises:
      ConfigError: it is not.
    """
    of_draw = config.small_tables + 1
    if config.tasks_per_step % of_draw:
        raise ConfigError(
            "tasks_per_step", config.tasks_per_step, f"a multiple of small_tables + 1 = {of_draw}"
        )


PRESETS: dict[str, dict[str, Any]] = {
    "cpu": {
        "steps": 1500,
        "small_tables": 15,
        "tasks_per_step": 16,
        "learning_rate": 2e-3,
        "schedule": "cosine",
        "clip_norm": 1.0,
        "eval_every": 500,
    },
}
"""cpu: with --warmup-steps 100, the reader that comes with the package; minutes on a core."""

TINY: dict[str, Any] = {
    "small_rows": 6,
    "rows": 8,
    "small_tables": 1,
    "queries": 4,
    "features": 3,
    "classes": 3,
    "width": 6,
    "row_width": 4,
    "tasks_per_step": 2,
    "eval_tasks": 4,
    "eval_rows": (4, 8),
}
