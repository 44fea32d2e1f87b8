"""What came of training several methods from the same seeds: scores with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from metajax.sweep.grid import Point
from metajax.sweep.results import Outcome, run_folder
from metajax.systems import config_to_json, split, summary
from metajax.systems.numbers import numbers
from metajax.systems.show import first_row
from metajax.train import provenance

SAME = 1e-5
"""Relative difference up to which two scores of a baseline are those of the same thing."""


def compared(
    folder: Path, points: Sequence[Point], outcomes: Mapping[int, Outcome], command: str
) -> dict[str, Any]:
    """Return what a comparison found, the content of ``compare.json``.

    Args:
      folder: that the runs are in.
      points: the runs, each with its ``method`` among its values.
      outcomes: how each ended.
      command: that compares them.

    Returns:
      JSON values: the evaluation's ``metric``, ``axis`` and similar entries; the ``settings`` that
      all share; ``methods`` by name, each with its ``score`` (:func:`over_runs`; None without a run
      that has one), the same for its other ``rows`` and its own ``baselines``, its ``settings``,
      ``runs`` and their cost; ``baselines`` that are the same whatever the method; the command, and
      the hardware and versions that the runs name, each once. What a baseline is ``compared_with``
      is ``score`` or one of ``rows``.
    """
    system = points[0].config.system
    grouped: dict[str, list[Point]] = {}
    for point in points:
        grouped.setdefault(point.values["method"], []).append(point)
    shared = _shared_settings([own[0].config for own in grouped.values()])
    methods, evaluations, origins = {}, [], []
    for name, own in grouped.items():
        runs, scored, summaries = {}, [], []
        for point in own:
            run, evaluation, said = _run(folder, point, outcomes.get(point.number))
            runs[str(point.config.seed)] = run
            if said is not None:
                origins.append({key: said.get(key) for key in ("hardware", "versions")})
                summaries.append(said)
            if run["status"] == "done":
                scored.append(evaluation)
        evaluations += scored
        methods[name] = {
            "summary": summary(system.methods[name]),
            "settings": {
                field: value
                for field, value in _settings(own[0].config).items()
                if field not in shared
            },
            **_scores(scored),
            "parameters": next((one.get("parameters") for one in summaries), None),
            "train_cpu_seconds": _mean(one.get("train_cpu_seconds") for one in summaries),
            "runs": runs,
        }
    here = provenance(command)
    first = evaluations[0] if evaluations else {}
    return {
        "system": system.name,
        **{name: first.get(name) for name in ("metric", "greatest", "axis", "setting")},
        "seeds": sorted({point.config.seed for point in points}),
        "settings": shared,
        "methods": methods,
        "baselines": _take_shared(methods),
        "command": here["command"],
        **{
            name: _distinct([one[name] for one in origins if one[name]] or [here[name]])
            for name in ("hardware", "versions")
        },
    }


def _settings(config: Any) -> dict[str, Any]:
    """What a method's runs share, as JSON values."""
    held = config_to_json(config.system, config)["config"]
    return {name: value for name, value in held.items() if name not in ("method", "seed")}


def _shared_settings(configs: Sequence[Any]) -> dict[str, Any]:
    """The settings of the problem, and of training where all methods have the same."""
    every = [_settings(config) for config in configs]
    options = {name for config in configs for name in split(config).options}
    return {
        name: value
        for name, value in every[0].items()
        if name not in options and all(one[name] == value for one in every)
    }


def _run(
    folder: Path, point: Point, outcome: Outcome | None
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any] | None]:
    """How a run ended, its evaluation, and its summary where it has one."""
    status, error = (outcome.status, outcome.error) if outcome else ("waiting", "")
    run = {"folder": f"runs/{point.name}", "status": status, "error": error}
    if status != "done":
        return run, {}, None
    workdir = run_folder(folder, point)
    evaluation = json.loads((workdir / "eval.json").read_bytes())
    said = json.loads((workdir / "summary.json").read_bytes())
    row = first_row(evaluation)
    if not all(np.isfinite(numbers(row[end])).all() for end in ("mean", "low", "high")):
        run |= {"status": "diverged", "error": "its score on new tasks is not finite"}
    run |= {"last": row["mean"][-1], "train_cpu_seconds": said.get("train_cpu_seconds")}
    return run, evaluation, said


def _scores(evaluations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A method's score, and its other rows, over its runs."""
    if not evaluations:
        return {"score": None, "rows": {}, "baselines": {}}
    main, *others = evaluations[0]["rows"]

    def over(name: str) -> dict[str, Any]:
        rows = [evaluation["rows"][name] for evaluation in evaluations]
        points = evaluations[0]["points"]
        points = points if len(rows[0]["mean"]) == len(points) else points[-1:]
        return {"title": rows[0]["title"], "points": points, **over_runs(rows)}

    found: dict[str, Any] = {"score": over(main), "rows": {}, "baselines": {}}
    for name in others:
        row = evaluations[0]["rows"][name]
        kind = "baselines" if row["baseline"] else "rows"
        found[kind][name] = over(name)
        if row["baseline"]:
            own = row.get("compared_with")  # evaluations of older versions do not say it
            found[kind][name]["compared_with"] = "score" if own == main else own
    return found


def over_runs(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over runs that differ in their seeds, with two 95% intervals.

    The interval over seeds is Student's t, with as many numbers as there are runs. That over tasks
    has the mean ends of the runs' own intervals: all runs are scored on the same tasks, so more
    runs do not make it narrower. It is at least as wide as the true one however the runs' scores
    of a task depend on each other.

    Args:
      rows: one for each run, of its ``eval.json``.

    Returns:
      Lists along the axis: ``mean``; ``low`` and ``high``, the ends of the wider of the two
      intervals at each point, and which one it is in ``interval_over``, ``seeds`` or ``tasks``;
      ``over_seeds`` (None for a single run) and ``over_tasks``, both of them. ``n``: how many
      seeds and tasks.
    """
    mean, low, high = (np.array([numbers(row[of]) for row in rows]) for of in _ENDS)
    center, num = _over_seeds(mean), len(rows)
    ends = {"tasks": (_over_seeds(low), _over_seeds(high))}
    if num > 1:
        error = np.where(_equal(mean), 0.0, scipy.stats.sem(mean, axis=0))
        half = scipy.stats.t.ppf(0.975, num - 1) * error
        ends["seeds"] = (center - half, center + half)
    widths = {name: high - low for name, (low, high) in ends.items()}
    by_seeds = widths["seeds"] > widths["tasks"] if num > 1 else np.zeros(len(center), bool)
    chosen = [
        np.where(by_seeds, ends.get("seeds", ends["tasks"])[i], ends["tasks"][i]) for i in (0, 1)
    ]
    return {
        "mean": center.tolist(),
        "low": chosen[0].tolist(),
        "high": chosen[1].tolist(),
        "interval_over": np.where(by_seeds, "seeds", "tasks").tolist(),
        "over_seeds": _as_lists(*ends["seeds"]) if num > 1 else None,
        "over_tasks": _as_lists(*ends["tasks"]),
        "n": {"seeds": num, "tasks": rows[0]["n"]},
    }


def _equal(scores: np.ndarray) -> np.ndarray:
    return np.all(scores == scores[0], axis=0)


def _over_seeds(scores: np.ndarray) -> np.ndarray:
    """The mean over runs; that of equal scores would differ from them by rounding."""
    return np.where(_equal(scores), scores[0], scores.mean(0))


_ENDS = ("mean", "low", "high")


def _as_lists(low: np.ndarray, high: np.ndarray) -> dict[str, list[float]]:
    return {"low": low.tolist(), "high": high.tolist()}


def _take_shared(methods: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Move the baselines that are the same whatever the method to one place, and return them."""
    scored = [method for method in methods.values() if method["score"]]
    shared = {}
    for name in dict.fromkeys(name for method in scored for name in method["baselines"]):
        having = [method["baselines"] for method in scored if name in method["baselines"]]
        alike = all(_alike(having[0][name], baselines[name]) for baselines in having)
        if alike and (len(having) > 1 or len(scored) == 1):
            shared[name] = having[0][name]
            for baselines in having:
                del baselines[name]
    return shared


def _alike(one: Any, other: Any) -> bool:
    """Whether two scores are of the same thing on the same tasks."""
    return len(one["mean"]) == len(other["mean"]) and np.allclose(
        numbers(one["mean"]), numbers(other["mean"]), rtol=SAME, atol=0, equal_nan=True
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(float(np.mean(known)), 2) if known else None


def _distinct(values: Sequence[Any]) -> list[Any]:
    return [value for index, value in enumerate(values) if value not in values[:index]]
