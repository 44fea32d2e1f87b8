"""The table and the figures of a run."""

from __future__ import annotations

from typing import Any

from metajax.systems.axes import along_training, make_axes
from metajax.systems.base import Figure
from metajax.systems.numbers import cell, numbers, said

TITLES = {
    "new_tasks": "new tasks",
    "training_classes": "tasks of training classes",
    "new": "new tasks, weights as first drawn",
    "nearest_mean": "nearest mean image",
}


def table(evaluation: dict[str, Any]) -> str:
    """The score on new tasks, after some numbers of gradient steps where there are any."""
    points = len(evaluation["new_tasks"]["score"])
    what = evaluation["score"]
    shown = sorted({p for p in (0, 1, 2, 3, 5, 10, 20, 50) if p < points - 1} | {points - 1})
    head = f"{what}, after the whole support"
    if points > 1:
        head = f"{what} after n gradient steps: n ="
    first = f"{head:44}" + "".join(f"{p if points > 1 else '':>9}" for p in shown)
    lines = [first, "-" * len(first)]
    for kind, title in TITLES.items():
        if kind in evaluation:
            values = evaluation[kind]["score"]
            at = [values[p] if len(values) > 1 else values[0] for p in shown]
            lines.append(f"{title:44}" + "".join(cell(value, ".3f", 9) for value in at))
    last = evaluation["new_tasks"]
    lines.append(
        f"{evaluation['learner']}, {evaluation['setting']}: {said(last['last'], '.3f')} "
        f"±{said(last['last_ci95'], '.3f')} (95% interval over {last['n']} tasks)."
    )
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """The score along meta-training, and along adaptation where there are steps."""
    what = evaluation["score"]
    # a squared error spans magnitudes, an accuracy does not
    scale = "log" if what == "squared error" else "linear"

    def adaptation():
        canvas, axes = make_axes("gradient steps", f"{what} on the query", scale)
        styles = dict(zip(TITLES, ("-", "-.", "--", ":"), strict=True))
        for kind, title in TITLES.items():
            part = evaluation.get(kind)
            if part is None:
                continue
            if len(part["score"]) > 1:
                steps = range(len(part["score"]))
                axes.errorbar(
                    steps,
                    numbers(part["score"]),
                    numbers(part["ci95"]),
                    ls=styles[kind],
                    elinewidth=0.8,
                    label=title,
                )
            else:
                axes.axhline(numbers(part["score"])[0], ls=styles[kind], color="grey", label=title)
        axes.legend(frameon=False)
        return canvas

    def training():
        return along_training(history, f"{what} on new tasks", scale)

    name = what.capitalize()
    made = [Figure("training", f"{name} on new tasks along meta-training.", training)]
    if len(evaluation["new_tasks"]["score"]) > 1:
        caption = f"{name} by gradient step, with 95% intervals."
        made.insert(0, Figure("adaptation", caption, adaptation))
    return made
