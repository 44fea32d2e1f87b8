"""The table and the figures of pruned networks."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import cell
from metajax.systems.show import Figure, last, score_figure, training_figures
from metajax.systems.weights.report import lines_of


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
