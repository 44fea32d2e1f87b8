"""Tables and figures of generated networks."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import aligned, cell
from metajax.systems.show import Figure, last, score_figure, training_figures

MOST = 9
"""Conditions that a table shows at most."""


def condition_table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by condition, at some of them, and its mean over all."""
    overall = {"rows": {"mean": evaluation["rows"]["mean"]}}
    said = last(overall).replace(" tasks)", " test images)")
    told = f"{evaluation['method']}, {evaluation['setting']}: {said}, mean over conditions."
    return "\n".join([*lines_of(evaluation), told])


def starts_table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy of starts along training from them, and what they do as they are."""
    row = evaluation["rows"]["mean"]
    found = [cell(row[each][0], ".3f") for each in ("mean", "low", "high")]
    said = f"accuracy {found[0]} [{found[1]}, {found[2]}] (n = {row['n']} architectures)"
    setting = f"{evaluation['method']}, {evaluation['setting']}."
    return "\n".join([*lines_of(evaluation), setting, f"Without training: {said}."])


def lines_of(evaluation: dict[str, Any]) -> list[str]:
    """Return the lines of a table with the accuracy at some conditions."""
    points = evaluation["points"]
    every = -(-len(points) // MOST)
    shown = range(0, len(points), every)
    rows = [[f"accuracy by {evaluation['axis']}", *(f"{points[index]:g}" for index in shown)]]
    for row in evaluation["rows"].values():
        mean = row["mean"]
        at = [mean[index] for index in shown] if len(mean) > 1 else mean
        rows.append([row["title"], *(cell(value, ".3f") for value in at)])
    width = max(map(len, rows))
    return aligned([row + [""] * (width - len(row)) for row in rows], first=44, least=7)


def condition_figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by condition, and its mean along training."""
    caption = (
        f"Accuracy by {evaluation['axis']}: means over test images, with 95% intervals as bands. "
        "Level lines: means over all conditions."
    )
    along = training_figures(history, "mean accuracy over conditions", "linear")
    return [score_figure(evaluation)._replace(caption=caption), *along]


def starts_figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by steps from a start, and that without training along meta-training."""
    rows = {name: row for name, row in evaluation["rows"].items() if name != "mean"}
    caption = (
        "Accuracy by steps of training from a predicted start and from a random one: means "
        "over unseen architectures, with 95% intervals as bands."
    )
    along = training_figures(history, "mean accuracy without training", "linear")
    return [score_figure({**evaluation, "rows": rows})._replace(caption=caption), *along]


def zoo_figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by steps on an unseen task, and that without a step along training."""
    along = training_figures(history, "accuracy without a step", "linear")
    return [score_figure(evaluation), *along]


def pruning_table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by kept units, with what a network of each size takes."""
    rows, more = evaluation["rows"], evaluation["more"]
    shown = {name: row for name, row in rows.items() if name != "mean"}
    lines = lines_of({**evaluation, "rows": shown})
    points = evaluation["points"]
    for size, parameters, products in zip(
        points, more["parameters"], more["products"], strict=True
    ):
        lines.append(f"{size:g} units: {parameters:,} parameters, {products:,} products an image")
    whole = more["whole"]["test"]["mean"][0]
    last_row = last({"rows": {"mean": rows["mean"]}}).replace(" tasks)", " networks)")
    setting = f"{evaluation['method']}, {evaluation['setting']}"
    lines.append(f"{setting}: {cell(whole, '.3f')} before pruning.")
    lines.append(f"After pruning and {more['tune_steps']} steps, mean over sizes: {last_row}.")
    return "\n".join(lines)


def pruning_figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by kept units, and that right after pruning along training."""
    rows = {name: row for name, row in evaluation["rows"].items() if name != "mean"}
    caption = (
        "Accuracy by kept units of each hidden layer, right after pruning and after further "
        "training: means over networks, with 95% intervals as bands."
    )
    along = training_figures(history, "accuracy right after pruning", "linear")
    return [score_figure({**evaluation, "rows": rows})._replace(caption=caption), *along]
