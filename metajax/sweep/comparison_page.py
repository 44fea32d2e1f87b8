"""The page of a comparison of methods: table, figures and settings, from its ``compare.json``."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from metajax.core import MetajaxError
from metajax.sweep.comparison_table import Line, columns, lines_of, markdown, plain_text, title
from metajax.systems import Figure, get_system, write_page
from metajax.systems.axes import (
    band,
    keep_fractions,
    keep_in_sight,
    legend_outside,
    make_axes,
    marks,
    style,
)
from metajax.systems.numbers import numbers, score_at
from metajax.systems.show import scale
from metajax.train import WorkdirError, write_json, write_whole

NAME = "compare.json"


def is_comparison(folder: Path) -> bool:
    """Return whether a comparison has been written into the folder.

    Args:
      folder: any.

    Returns:
      Whether ``compare.json`` is there.
    """
    return (folder / NAME).exists()


def write_comparison(folder: Path, content: dict[str, Any]) -> tuple[str, Path]:
    """Write ``compare.json`` and what :func:`report_comparison` makes of it; returns the same.

    Args:
      folder: where to.
      content: from :func:`metajax.sweep.compared`.

    Returns:
      The page's text and path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / NAME, content)
    return report_comparison(folder)


def report_comparison(folder: Path) -> tuple[str, Path]:
    """Write ``compare.md``, ``report.html`` and the figures; returns the page's text and path.

    Args:
      folder: of the comparison.

    Returns:
      The text and the path of ``report.html``.

    Raises:
      WorkdirError: ``compare.json`` does not hold what a comparison writes.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_bytes())
        write_whole(folder / "compare.md", markdown(content).encode(errors="backslashreplace"))
        text = plain_text(content)
        page = write_page(
            folder,
            title(content),
            get_system(content["system"]).summary,
            text,
            figures(content),
            _tables(content),
        )
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError) as error:
        if isinstance(error, MetajaxError | OSError) and path.exists():
            raise
        raise WorkdirError(
            f"{path} cannot be reported ({type(error).__name__}: {error}); metajax compare writes "
            "it again"
        ) from error
    return text, page


def _tables(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    made = ("command", "hardware", "versions", "seeds")
    return {
        "Comparison": {name: content[name] for name in made},
        "Settings of all runs": content["settings"],
        **{
            f"Settings of {name}": method["settings"]
            for name, method in content["methods"].items()
            if method["settings"]
        },
    }


def figures(content: dict[str, Any]) -> list[Figure]:
    """Return the figures: scores along the axis where there is one, and the last of all."""
    every = [line for line in lines_of(content) if line.score is not None]
    if not any(line.method is not None for line in every):
        return []
    metric = content["metric"]
    made = [
        Figure(
            "scores",
            f"{metric.capitalize()} by method"
            + (f" at the end of its {content['axis']}" if len(columns(content)) > 1 else "")
            + ", with 95% intervals; small dots at its right: each seed"
            + (
                "; hollow: its own baseline"
                if any(method["baselines"] for method in content["methods"].values())
                else ""
            )
            + ("; lines across: baselines of all." if content["baselines"] else "."),
            lambda: draw_scores(content),
        )
    ]
    if len(columns(content)) > 1:
        caption = f"{metric.capitalize()} by {content['axis']}, with 95% intervals as bands; "
        caption += "gray: baselines, whose intervals the table has."
        made.insert(0, Figure("curves", caption, lambda: draw_curves(content)))
    return made


def styles_of(content: dict[str, Any]) -> dict[str, Any]:
    """Return a color and a line style for each method, the same in all figures."""
    return {name: style(index) for index, name in enumerate(content["methods"])}


def draw_curves(content: dict[str, Any]) -> Any:
    """Draw scores along the axis, methods with bands; a level line is what has a single score."""
    canvas, axes = make_axes(content["axis"], content["metric"], scale(content))
    shown, styles, greys = columns(content), styles_of(content), ("0.2", "0.45", "0.6", "0.75")
    lines = [line for line in lines_of(content) if line.score is not None]
    baselines = [line.name for line in lines if line.method is None]
    floor = _limit(axes, lines, slice(None))
    for line in lines:
        score: Any = line.score
        mean, low, high = (numbers(score[end]) for end in ("mean", "low", "high"))
        points = numbers(score["points"])
        marked: dict[str, Any] = {}
        if len(mean) == 1:
            points = numbers([shown[0], shown[-1]])
            mean, low, high = (np.repeat(of, 2) for of in (mean, low, high))
        elif line.method is not None:
            marked = marks(list(content["methods"]).index(line.name), len(points))
        if line.method is None:
            index = baselines.index(line.name)
            dashes = {"ls": (0, (1, 1 + index % 4)), "color": greys[index % len(greys)]}
            axes.plot(points, mean, label=line.name, **dashes)
        else:
            axes.plot(points, mean, label=line.name, lw=1.5, **styles[line.name], **marked)
            band(axes, points, low, high, styles[line.name]["color"], floor, len(styles))
    keep_fractions(axes, content["metric"])
    legend_outside(canvas, axes)
    return canvas


def draw_scores(content: dict[str, Any]) -> Any:
    """Draw the last score of every method with its interval, its seeds, and baselines."""
    canvas, axes = make_axes("", content["metric"], scale(content))
    names = list(content["methods"])
    canvas.set_size_inches(max(4.0, 1.5 + 0.5 * len(names)), 4)
    floor = _limit(
        axes, [line for line in lines_of(content) if line.score is not None], slice(-1, None)
    )
    kinds: dict[str, str] = {}
    for method in content["methods"].values():
        kinds.update({kind: of["title"] for kind, of in method["baselines"].items()})
    markers = itertools.cycle("o^vDP")
    own = {kind: (next(markers), of) for kind, of in kinds.items()}
    for place, (name, method) in enumerate(content["methods"].items()):
        color = styles_of(content)[name]["color"]
        if method["score"] is None:
            axes.text(
                place,
                0.5,
                "no score",
                transform=axes.get_xaxis_transform(),
                rotation=90,
                ha="center",
            )
            continue
        mean, low, high = score_at(method["score"])
        ends = [[mean - max(low, floor)], [high - mean]]
        axes.errorbar(place, mean, ends, fmt="o", color=color, capsize=4)
        seeds = [run["last"] for run in method["runs"].values() if run["status"] == "done"]
        if len(seeds) > 1:
            axes.plot([place + 0.2] * len(seeds), seeds, ".", color=color, alpha=0.6, ms=5)
        for kind, baseline in method["baselines"].items():
            level = numbers(baseline["mean"])[-1]
            axes.plot(place, level, own[kind][0], mfc="none", color=color, alpha=0.8)
    axes.plot([], [], "o", color="0.3", label="mean, 95% interval")
    if len(content["seeds"]) > 1:
        axes.plot([], [], ".", color="0.3", ms=5, label="each seed")
    for marker, title_of in own.values():
        axes.plot([], [], marker, mfc="none", color="0.3", label=title_of)
    for index, baseline in enumerate(content["baselines"].values()):
        level = numbers(baseline["mean"])[-1]
        axes.axhline(level, color="gray", ls=("--", ":", "-.")[index % 3], label=baseline["title"])
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axes.set_xlim(-0.6, len(names) - 0.4)
    keep_fractions(axes, content["metric"])
    legend_outside(canvas, axes)
    return canvas


def _limit(axes: Any, lines: Sequence[Line], part: slice) -> float:
    """Keep a logarithmic axis where the scores are; return the least that can be drawn."""
    scored = [line for line in lines if line.score]
    means = [numbers(line.score["mean"])[part] for line in scored if line.score]
    lows, highs = (
        [numbers(line.score[end])[part] for line in scored if line.score and line.method]
        for end in ("low", "high")
    )
    return keep_in_sight(axes, *map(np.concatenate, (means, lows, highs)))
