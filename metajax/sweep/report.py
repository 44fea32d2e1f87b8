"""A sweep's page: the best configuration, what each field does, and all learning curves."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from metajax.core import MetajaxError
from metajax.sweep.results import read_results
from metajax.systems import Figure, Objective, config_from_json, get_system, write_page
from metajax.systems.axes import FEW, make_axes
from metajax.systems.numbers import aligned, numbers
from metajax.train import WorkdirError, read_rows

SHOWN = 20
"""Configurations that the table holds."""
WIDTH = 100
"""Characters of a line of plain text."""


class Configuration(NamedTuple):
    """Runs that differ in their seed alone.

    Attributes:
      values: the swept fields, as text.
      runs: names of all its runs.
      scores: the objective of those that are done and have a finite one.
    """

    values: tuple[str, ...]
    runs: list[str]
    scores: list[float]

    @property
    def missing(self) -> int:
        """Runs without a score."""
        return len(self.runs) - len(self.scores)

    @property
    def mean(self) -> float:
        """Mean score over seeds."""
        return float(np.mean(self.scores))

    @property
    def half(self) -> float | None:
        """Half of its 95% interval by Student's t; None of a single seed."""
        return half_width(self.scores)


def half_width(scores: Sequence[float]) -> float | None:
    """Half of the mean's 95% interval by Student's t; None for a single number."""
    if len(scores) < 2:
        return None
    from scipy.stats import sem, t  # half a second that no other command needs

    return float(t.ppf(0.975, len(scores) - 1) * sem(scores))


def is_sweep(folder: Path) -> bool:
    """Return whether the folder is a sweep's.

    Args:
      folder: any.

    Returns:
      Whether its ``config.json`` describes a sweep.
    """
    try:
        saved = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(saved, dict) and "sweep" in saved


def write_report(folder: Path) -> tuple[str, Path]:
    """Write ``report.html`` and its figures from ``results.csv``; returns its text and its path.

    Args:
      folder: of the sweep.

    Returns:
      The text and the path of ``report.html``.

    Raises:
      WorkdirError: the folder does not describe a sweep, or holds no results.
    """
    try:
        identity = json.loads((folder / "config.json").read_bytes())
        whole = get_system(identity["sweep"]["system"])
        config = config_from_json(whole, identity["sweep"]["config"])
        grid, random = ({**identity[kind]} for kind in ("grid", "random"))
        numeric = [name for name in random if not random[name].startswith("ch")]
    except (OSError, KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, MetajaxError):
            raise
        raise WorkdirError(f"{folder} does not describe a sweep: {error}") from error
    fields = [*grid, *random]
    rows = read_results(folder)
    system = config.system
    objective = system.objective(config)
    ranked = rank(rows, fields, objective)
    text = describe(rows, fields, objective, ranked)
    figures = [
        *(
            effect(field, ranked, place, objective, field in numeric)
            for place, field in enumerate(fields)
        ),
        learning_curves(folder, rows, ranked),
    ]
    swept = {name: value for name, value in identity.items() if name != "sweep"}
    page = write_page(
        folder,
        f"{system.name}: a sweep of {len(rows)} runs",
        system.summary,
        text,
        [figure for figure in figures if figure is not None],
        {"Sweep": swept, "Settings of all runs": identity["sweep"]["config"]},
    )
    return text, page


def rank(
    rows: Sequence[dict[str, str]], fields: Sequence[str], objective: Objective
) -> list[Configuration]:
    """Group runs by configuration, the best first; those with runs missing behind all others."""
    found: dict[tuple[str, ...], Configuration] = {}
    for row in rows:
        values = tuple(row[field] for field in fields)
        one = found.setdefault(values, Configuration(values, [], []))
        one.runs.append(row["run"])
        score = row.get(objective.metric)
        if row["status"] == "done" and score and math.isfinite(float(score)):
            one.scores.append(float(score))

    def place(one: Configuration) -> tuple[bool, bool, float]:
        if not one.scores:
            return True, True, 0.0
        sign = -1 if objective.greatest else 1
        return False, one.missing > 0, sign * one.mean

    return sorted(found.values(), key=place)


def describe(
    rows: Sequence[dict[str, str]],
    fields: Sequence[str],
    objective: Objective,
    ranked: Sequence[Configuration],
) -> str:
    """The table that a person reads first."""
    states = [row["status"] for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    heads = [*fields, objective.called, "±95%", "runs"]
    done = {row["run"] for row in rows if row["status"] == "done"}

    def without_score(one: Configuration) -> str:
        return "non-finite" if done.intersection(one.runs) else "-"

    cells = [
        [
            *one.values,
            f"{one.mean:.4g}" if one.scores else without_score(one),
            "" if not one.scores or one.half is None else f"{one.half:.2g}",
            f"{len(one.scores)}"
            + (f" of {len(one.runs)}" if len(one.scores) < len(one.runs) else ""),
        ]
        for one in ranked[:SHOWN]
    ]
    lines = aligned([heads, *cells], right=True)
    if len(ranked) > SHOWN:
        lines.append(f"and {len(ranked) - SHOWN} more in results.csv")
    best = ranked[0]
    if best.scores:
        named = ", ".join(f"{f}={v}" for f, v in zip(fields, best.values, strict=True)) or "one"
        half = f" ±{best.half:.2g} (95% interval over seeds)" if best.half is not None else ""
        more = "greatest" if objective.greatest else "least"
        lines += [
            "",
            f"best by the {more} {objective.called}, mean over {len(best.scores)} seed"
            f"{'s' * (len(best.scores) > 1)}: {named}: {best.mean:.4g}{half}",
        ]
        if len(ranked) > 1:
            lines.append(f"the best of {len(ranked)} looks better than it is: give it new seeds")
    if objective.title:
        lines.append(f"{objective.title}: {objective.metric} in results.csv")
    lines.append(f"runs: {counts}")
    errors = [f"  run {row['run']}: {row['error']}" for row in rows if row["error"]][:SHOWN]
    lines += [textwrap.fill(error, WIDTH, subsequent_indent="    ") for error in errors]
    return "\n".join(lines)


def effect(
    field: str,
    ranked: Sequence[Configuration],
    place: int,
    objective: Objective,
    continuous: bool,
) -> Figure | None:
    """What a field does: configurations by its value, and their mean at each where there are few.

    None where fewer than two of its values have been scored.
    """
    scored = [one for one in ranked if one.scores]
    values = list(dict.fromkeys(one.values[place] for one in scored))
    if len(values) < 2:
        return None
    # who has no score is ranked last
    without = list(dict.fromkeys(one.values[place] for one in ranked))[len(values) :]
    every = [*values, *without]
    at = {value: number for value in every if (number := _number(value)) is not None}
    named = len(at) < len(every)
    if named:
        at = {value: float(i) for i, value in enumerate(sorted(every))}
    scores = [one.mean for one in scored]
    scale = _scale(scores)
    single = len(scored) == len(values)  # this field alone tells them apart

    def draw() -> Any:
        canvas, axes = make_axes(field, objective.called, scale)
        axes.plot([at[one.values[place]] for one in scored], scores, "o", alpha=0.4)
        foot = [0.02] * len(without)
        axes.plot(
            [at[value] for value in without],
            foot,
            "x",
            color="C3",
            transform=axes.get_xaxis_transform(),
        )
        if not continuous:
            order = sorted(values, key=lambda value: at[value])
            # geometric means where scores span magnitudes: one that diverged would hide the others
            to, back = (np.log, np.exp) if scale == "log" else (np.array, np.array)
            groups = [
                list(to([one.mean for one in scored if one.values[place] == v])) for v in order
            ]
            means = np.array([np.mean(group) for group in groups])
            halves = np.array([half_width(group) or 0.0 for group in groups])
            spread = back(means) - back(means - halves), back(means + halves) - back(means)
            if single:
                own = {one.values[place]: one.half or 0.0 for one in scored}
                spread = (np.array([own[value] for value in order]),) * 2
            axes.errorbar(
                [at[value] for value in order],
                back(means),
                spread,
                color="C1",
                marker="s",
                capsize=3,
            )
        if named:
            axes.set_xticks(list(at.values()), list(at), rotation=30, ha="right")
        else:
            axes.set_xscale(_scale(list(at.values())))
            axes.set_xticks(sorted(at.values()) if len(at) <= 8 else axes.get_xticks())
            axes.xaxis.set_major_formatter("{x:.3g}")
            axes.xaxis.set_minor_formatter("")
        return canvas

    caption = f"{objective.called} by {field}: each point a configuration, its mean over seeds"
    if single and not continuous:
        caption += ", with its 95% interval over them"
    elif not continuous:
        mean = "geometric mean" if scale == "log" else "mean"
        caption += f"; the line their {mean}, with its 95% interval"
    if without:
        caption += "; a cross at the foot: no run with this value has a score"
    return Figure(f"effect_{field}", caption + ".", draw)


def learning_curves(
    folder: Path, rows: Sequence[dict[str, str]], ranked: Sequence[Configuration]
) -> Figure | None:
    """The loss of all runs by meta-step; None where none has been logged."""
    best = set(ranked[0].runs)
    curves = {}
    for row in rows:
        logged = [
            (line["step"], line["loss"])
            for line in read_rows(folder / "runs" / row["run"])
            if "loss" in line
        ]
        if logged and np.isfinite(numbers(logged)[:, 1]).any():
            curves[row["run"]] = numbers(logged)
    if not curves:
        return None

    def draw() -> Any:
        losses = np.concatenate([logged[:, 1] for logged in curves.values()])
        scale = _scale(losses[np.isfinite(losses)].tolist())
        canvas, axes = make_axes("meta-step", "training loss", scale)
        for name, logged in sorted(curves.items(), key=lambda item: item[0] in best):
            style = {"color": "C1", "lw": 2.0} if name in best else {"color": "C0", "alpha": 0.35}
            # a line of one point is none
            axes.plot(*logged.T, marker="o" if len(logged) <= FEW else None, ms=4, **style)
        return canvas

    return Figure(
        "curves", "Training loss of every run that has one; those of the best in orange.", draw
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _scale(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    return "log" if low > 0 and high > 20 * low else "linear"
