"""The table and the figure of generated networks."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import aligned, cell
from metajax.systems.show import Figure, score_figure, training_figures
from metajax.systems.show import last as said_last
from metajax.systems.show import table as step_table

MOST = 9
"""Conditions that a table shows at most."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by condition, at some of them, or by steps on an unseen task."""
    if "mean" not in evaluation["rows"]:
        return step_table(evaluation)
    points = evaluation["points"]
    every = -(-len(points) // MOST)
    shown = range(0, len(points), every)
    rows = [[f"accuracy by {evaluation['axis']}", *(f"{points[index]:g}" for index in shown)]]
    for row in evaluation["rows"].values():
        mean = row["mean"]
        at = [mean[index] for index in shown] if len(mean) > 1 else mean
        rows.append([row["title"], *(cell(value, ".3f") for value in at)])
    width = max(map(len, rows))
    lines = aligned([row + [""] * (width - len(row)) for row in rows], first=44, least=7)
    if "random_in_range" in evaluation["rows"]:
        return starts_table(evaluation, lines)
    overall = {"rows": {"mean": evaluation["rows"]["mean"]}}
    said = said_last(overall).replace(" tasks)", " test images)")
    lines.append(f"{evaluation['method']}, {evaluation['setting']}: {said}, mean over conditions.")
    return "\n".join(lines)


def starts_table(evaluation: dict[str, Any], lines: list[str]) -> str:
    """Return the accuracy of starts along training from them, and what they do as they are."""
    row = evaluation["rows"]["mean"]
    found = [cell(row[each][0], ".3f") for each in ("mean", "low", "high")]
    said = f"accuracy {found[0]} [{found[1]}, {found[2]}] (n = {row['n']} architectures)"
    lines += [f"{evaluation['method']}, {evaluation['setting']}.", f"Without training: {said}."]
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by condition or by steps, and its mean along training."""
    if "random_in_range" in evaluation["rows"]:
        evaluation = {**evaluation, "rows": {**evaluation["rows"]}}
        del evaluation["rows"]["mean"]
        caption = (
            "Accuracy by steps of training from a predicted start and from a random one: means "
            "over unseen architectures, with 95% intervals as bands."
        )
        along = training_figures(history, "mean accuracy without training", "linear")
        return [score_figure(evaluation)._replace(caption=caption), *along]
    if "mean" not in evaluation["rows"]:
        along = training_figures(history, "accuracy without a step", "linear")
        return [score_figure(evaluation), *along]
    caption = (
        f"Accuracy by {evaluation['axis']}: means over test images, with 95% intervals as bands. "
        "Level lines: means over all conditions."
    )
    along = training_figures(history, "mean accuracy over conditions", "linear")
    return [score_figure(evaluation)._replace(caption=caption), *along]
