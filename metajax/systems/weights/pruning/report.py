"""The table and the figures of pruned networks."""

from __future__ import annotations

from typing import Any

from metajax.systems.numbers import cell
from metajax.systems.show import Figure, last, score_figure, training_figures
from metajax.systems.weights.report import lines_of, without_mean

LATER = ("_tuned", "small")
"""How the names of rows end that are measured after further training."""


def table(evaluation: dict[str, Any]) -> str:
    """Return the accuracy by kept units, with what a network of each size takes."""
    rows, more = evaluation["rows"], evaluation["more"]
    # what a network of each size takes stands below its accuracies
    named = (("parameters", "parameters"), ("products an image", "products"))
    counts = {title: [f"{number:,}" for number in more[name]] for title, name in named}
    lines = lines_of(without_mean(evaluation), counts)
    whole = more["whole"]["test"]["mean"][0]
    tuned = last(rows["mean"], over="networks")
    setting = f"{evaluation['method']}, {evaluation['setting']}"
    lines.append(f"{setting}: {cell(whole, '.3f')} before pruning.")
    lines.append(f"After pruning and {more['tune_steps']} steps, mean over sizes: {tuned}.")
    return "\n".join(lines)


def figures(evaluation: dict[str, Any], history: list[dict[str, Any]]) -> list[Figure]:
    """Return the accuracy by kept units, right after pruning and later, and that along training."""
    steps = evaluation["more"]["tune_steps"]
    curves = without_mean(evaluation)["rows"]
    trained = {name: row for name, row in curves.items() if name.endswith(LATER)}
    # chance is far below trained networks, whose curves would be one with it
    groups = {
        "pruned": ("right after pruning", {n: curves[n] for n in curves if n not in trained}),
        "trained": (f"after pruning and {steps} more steps", trained),
    }
    found = []
    for name, (when, rows) in groups.items():
        caption = (
            f"Accuracy by kept units of each hidden layer, {when}: means over networks, with 95% "
            "intervals as bands."
        )
        figure = score_figure({**evaluation, "rows": rows}, caption)
        found.append(figure._replace(name=name))
    along = training_figures(history, "accuracy right after pruning", "linear")
    return [*found, *along]
