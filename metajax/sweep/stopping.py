"""Which runs of a sweep are stopped early: by what they log, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from metajax.core import ConfigError, one_of
from metajax.systems import Objective

SCHEDULERS = ("none", "asha", "median")


class Stopping(NamedTuple):
    """Which runs are stopped early; see :func:`choose_stopping`."""

    scheduler: str
    metric: str
    mode: str
    grace_period: int
    steps: int


def choose_stopping(
    objective: Objective,
    steps: int,
    *,
    scheduler: str = "none",
    metric: str | None = None,
    mode: str | None = None,
    grace_period: int | None = None,
) -> Stopping:
    """Return which runs are stopped early, with what is not said chosen.

    Args:
      objective: of the system.
      steps: of the longest run.
      scheduler: ``none``; ``asha``, asynchronous successive halving (Li et al. 2020); or
        ``median``, the median stopping rule (Golovin et al. 2017, section 3.2.2).
      metric: what it watches of a run's rows; None: what the objective names, or ``loss``.
      mode: ``min`` or ``max``, whether less or more of it is better; None where that is known.
      grace_period: steps before which no run is stopped; None: a tenth of all.

    Raises:
      ConfigError: there is no such scheduler, nothing says which of ``metric`` is better, or the
        grace period is not of the run.
    """
    modes = {"loss": "min"}
    if objective.logged:
        modes[objective.logged] = "max" if objective.greatest else "min"
    metric = metric or objective.logged or "loss"
    if mode is None and metric not in modes:
        raise ConfigError("mode", None, f"min or max: which of {metric} is better is not known")
    grace_period = max(1, steps // 10) if grace_period is None else grace_period
    if not 1 <= grace_period <= max(1, steps):
        raise ConfigError("grace_period", grace_period, f"1 to {steps}, the steps of a run")
    return Stopping(
        one_of("scheduler", scheduler, SCHEDULERS),
        metric,
        mode or modes[metric],
        grace_period,
        steps,
    )


def missing_from(rows: Iterable[Mapping[str, Any]], metric: str, done: bool) -> list[str] | None:
    """Return what the rows of a run hold once it is certain that they never hold ``metric``.

    None while they may. Rows of one kind, ``loss`` or ``new_tasks/last``, hold the same names, and
    those of all evaluators come with the first of them.
    """
    names: dict[str, None] = {}
    measured, certain = None, done
    for row in rows:
        names |= dict.fromkeys(row)
        if measured is not None and row["step"] > measured:
            certain = True
        elif measured is None and any("/" in name for name in row):
            measured = row["step"]
    names.pop("step", None)
    kinds = {name.rpartition("/")[0] for name in names}
    if metric in names or not names or not (certain or metric.rpartition("/")[0] in kinds):
        return None
    return list(names)


def with_number(rows: Iterable[dict[str, Any]], metric: str) -> Iterator[dict[str, Any]]:
    """The rows that hold a number of that name; what was not finite is None."""
    return (row for row in rows if isinstance(row.get(metric), (int, float)))
